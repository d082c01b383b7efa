targetScope = 'subscription'

@description('Name of the azd environment; the resource group is named after it.')
param environmentName string
param location string
@description('Object id of the person who deploys. It gets the storage roles that the doctor needs; empty: nobody does.')
param deployerId string = ''
@description('Name of an Azure OpenAI resource in this subscription; empty: set the backend through settings.')
param videoResourceName string = ''
@description('Resource group of that resource.')
param videoResourceGroup string = ''
param videoDeployment string = 'sora'
@description('Settings of the app that replace the defaults, such as { RETENTION_DAYS: \'30\' }. A secret must be a Key Vault reference.')
param appSettings object = {}
@description('Name of a Key Vault in this subscription that holds the keys of providers; empty: none.')
param keyVaultName string = ''
param keyVaultResourceGroup string = ''
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40
@description('Instances that are always ready, such as [{ name: \'http\', instanceCount: 1 }].')
param alwaysReady array = []
@allowed(['Standard_LRS', 'Standard_ZRS'])
param storageSku string = 'Standard_LRS'
@description('Telemetry is cut off after this many GB a day.')
param dailyCapGB int = 1
@description('Address that the alerts are sent to; empty: no alerts.')
param alertEmail string = ''

var tags = { 'azd-env-name': environmentName }
var withVideoResource = !empty(videoResourceName) && !empty(videoResourceGroup)

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module app 'app.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    deployerId: deployerId
    videoEndpoint: withVideoResource ? 'https://${videoResourceName}.openai.azure.com' : ''
    videoDeployment: videoDeployment
    appSettings: appSettings
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: alwaysReady
    storageSku: storageSku
    dailyCapGB: dailyCapGB
  }
}

module videoRole 'video-role.bicep' = if (withVideoResource) {
  scope: resourceGroup(videoResourceGroup)
  params: { resourceName: videoResourceName, principalId: app.outputs.principalId }
}

module vaultRole 'vault-role.bicep' = if (!empty(keyVaultName) && !empty(keyVaultResourceGroup)) {
  scope: resourceGroup(keyVaultResourceGroup)
  params: { vaultName: keyVaultName, principalId: app.outputs.principalId }
}

module alerts 'alerts.bicep' = if (!empty(alertEmail)) {
  scope: group
  params: { location: location, tags: tags, insightsId: app.outputs.insightsId, email: alertEmail }
}

output FUNCTION_APP_NAME string = app.outputs.name
output API_URL string = '${app.outputs.url}/api'
output STORAGE_ACCOUNT string = app.outputs.storageName
