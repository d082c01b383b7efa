targetScope = 'subscription'

@description('Name of the azd environment; the resource group is named after it.')
param environmentName string
param location string
@description('Object id of the person who deploys. It gets the storage roles that the doctor needs; empty: nobody gets them.')
param deployerId string = ''
@allowed(['User', 'ServicePrincipal', 'Group'])
param deployerType string = 'User'

// --- the video API: a resource in Azure, or a provider's key --------------------------------------

@description('Name of an Azure OpenAI resource in this subscription; empty: the settings or a provider\'s key select the video API.')
param videoResourceName string = ''
@description('Resource group of that resource.')
param videoResourceGroup string = ''
@description('Its deployment of the video model.')
param videoDeployment string = 'sora'
@secure()
param azureOpenAiKey string = ''
@secure()
param openRouterKey string = ''
@secure()
param runwaySecret string = ''
@secure()
param replicateToken string = ''
@secure()
param falKey string = ''
@secure()
param xaiKey string = ''
@secure()
param geminiKey string = ''
@secure()
param arkKey string = ''
@description('Entries of VIDEO_BACKENDS (docs/reference/settings.md).')
param videoBackends array = []

// --- sign-in and notifications ----------------------------------------------------------------------

@secure()
param compatibleApiKeys string = ''
@secure()
param webhookSecrets string = ''
@secure()
param webhookUrl string = ''
@description('Client id of a registration in Entra ID with which people sign in. Empty: everybody with a function key may use the app.')
param signInClientId string = ''
@description('Origins of other front ends. The app\'s own page needs none.')
param corsOrigins array = []

// --- the app ----------------------------------------------------------------------------------------

@description('Settings of the app, as listed in docs/reference/settings.md. Empty ones are left out. Put no secrets here.')
param settings object = {}
@description('Days for which ended jobs and their videos are kept; 0: for ever.')
param retentionDays int = 0
@description('512 is enough for a quiet app without image uploads.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40
@description('Instances that are always ready for HTTP, and for polling. You pay for each of them all the time.')
param alwaysReadyHttp int = 0
param alwaysReadyPoll int = 0
@description('Messages that an instance takes from a queue at once. When only so many are left, it takes more.')
@minValue(1)
@maxValue(32)
param queueBatchSize int = 6
param queueNewBatchThreshold int = 2
@description('Name and resource group of your own Key Vault, if `settings` refers to its secrets; empty: none.')
param keyVaultName string = ''
param keyVaultResourceGroup string = ''

// --- storage and network ------------------------------------------------------------------------------

@allowed(['Standard_LRS', 'Standard_ZRS'])
param storageSku string = 'Standard_LRS'
@description('Videos move to the cool tier after so many days; 0: never.')
param coolAfterDays int = 0
@description('Only the app\'s own network reaches the storage. Videos then play only inside this network.')
param privateNetwork bool = false

// --- monitoring ---------------------------------------------------------------------------------------

@description('Mail address for alerts and the budget\'s warnings; empty: none are made.')
param alertEmail string = ''
@description('Telemetry stops after so many GB a day.')
param dailyCapGB int = 1
@description('Budget of a month in the subscription\'s currency; 0: none.')
param budgetAmount int = 0
@description('First day of the month in which the budget is made, like 2026-11-01. It can\'t be changed later.')
param budgetStart string = ''

var tags = { 'azd-env-name': environmentName }
// An empty setting counts as not given, so that it does not replace a derived one.
var given = toObject(filter(items(settings), each => !empty(each.value)), each => each.key, each => each.value)
var withVideoResource = !empty(videoResourceName) && !empty(videoResourceGroup)
var withVault = !empty('${azureOpenAiKey}${openRouterKey}${runwaySecret}${replicateToken}${falKey}${xaiKey}${geminiKey}${arkKey}${compatibleApiKeys}${webhookSecrets}${webhookUrl}')
var withSignIn = !empty(signInClientId)
var withKeyVault = !empty(keyVaultName) && !empty(keyVaultResourceGroup)
var withBudget = budgetAmount > 0 && !empty(budgetStart) && !empty(alertEmail)

// Incomplete parameters are refused before anything is made.
var wholeVideo = empty(videoResourceName) == empty(videoResourceGroup) ? true : fail('VIDEO_RESOURCE_NAME and VIDEO_RESOURCE_GROUP belong together: set both, or none.')
var wholeVault = empty(keyVaultName) == empty(keyVaultResourceGroup) ? true : fail('KEY_VAULT_NAME and KEY_VAULT_RESOURCE_GROUP belong together: set both, or none.')
var wholeBudget = budgetAmount == 0 || withBudget ? true : fail('BUDGET_AMOUNT needs BUDGET_START (the first day of this month, like 2026-11-01) and ALERT_EMAIL.')
var groupName = wholeVideo && wholeVault && wholeBudget ? 'rg-${environmentName}' : ''

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: groupName
  location: location
  tags: tags
}

module identity 'identity.bicep' = {
  scope: group
  params: { location: location, tags: tags }
}

module storage 'storage.bicep' = {
  scope: group
  params: { location: location, tags: tags, sku: storageSku, isPrivate: privateNetwork, corsOrigins: corsOrigins, coolAfterDays: coolAfterDays }
}

module storageAccess 'storage-access.bicep' = {
  scope: group
  params: { storageName: storage.outputs.name, principalId: identity.outputs.principalId, principalType: 'ServicePrincipal' }
}

module deployerAccess 'storage-access.bicep' = if (!empty(deployerId)) {
  scope: group
  params: { storageName: storage.outputs.name, principalId: deployerId, principalType: deployerType }
}

module telemetry 'telemetry.bicep' = {
  scope: group
  params: { location: location, tags: tags, principalId: identity.outputs.principalId, dailyCapGB: dailyCapGB }
}

module network 'network.bicep' = if (privateNetwork) {
  scope: group
  params: { location: location, tags: tags, storageId: storage.outputs.id }
}

// These are in other groups. Nothing is made there, since azd down deletes each group in which a deployment made anything.
// The hook `postprovision` (azure.yaml) assigns the app's roles there. It reads them from the output ROLES_ELSEWHERE.
resource video 'Microsoft.CognitiveServices/accounts@2024-10-01' existing = if (withVideoResource) {
  scope: resourceGroup(videoResourceGroup)
  name: videoResourceName
}

resource ownVault 'Microsoft.KeyVault/vaults@2023-07-01' existing = if (withKeyVault) {
  scope: resourceGroup(keyVaultResourceGroup)
  name: keyVaultName
}

var cognitiveServicesUser = 'a97b65f3-24c7-4388-baec-2e87135dc908'
var keyVaultSecretsUser = '4633458b-17de-408a-b874-0445c86b69e6'
var rolesElsewhere = concat(
  withVideoResource ? ['${cognitiveServicesUser}=${video.id}'] : [],
  withKeyVault ? ['${keyVaultSecretsUser}=${ownVault.id}'] : []
)

module vault 'vault.bicep' = if (withVault) {
  scope: group
  params: {
    location: location
    tags: tags
    azureOpenAiKey: azureOpenAiKey
    openRouterKey: openRouterKey
    runwaySecret: runwaySecret
    replicateToken: replicateToken
    falKey: falKey
    xaiKey: xaiKey
    geminiKey: geminiKey
    arkKey: arkKey
    compatibleApiKeys: compatibleApiKeys
    webhookSecrets: webhookSecrets
    webhookUrl: webhookUrl
  }
}

module vaultRole 'vault-role.bicep' = if (withVault) {
  scope: group
  params: { vaultName: withVault ? vault!.outputs.name : '', principalId: identity.outputs.principalId }
}

var vaultUri = withVault ? vault!.outputs.uri : ''
var references = union(
  empty(azureOpenAiKey) ? {} : { AZURE_OPENAI_API_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/azure-openai-api-key)' },
  empty(openRouterKey) ? {} : { OPENROUTER_API_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/openrouter-api-key)' },
  empty(runwaySecret) ? {} : { RUNWAYML_API_SECRET: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/runwayml-api-secret)' },
  empty(replicateToken) ? {} : { REPLICATE_API_TOKEN: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/replicate-api-token)' },
  empty(falKey) ? {} : { FAL_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/fal-key)' },
  empty(xaiKey) ? {} : { XAI_API_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/xai-api-key)' },
  empty(geminiKey) ? {} : { GEMINI_API_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/gemini-api-key)' },
  empty(arkKey) ? {} : { ARK_API_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/ark-api-key)' },
  empty(compatibleApiKeys) ? {} : { OPENAI_COMPAT_API_KEYS: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/openai-compatible-api-keys)' },
  empty(webhookSecrets) ? {} : { WEBHOOK_SECRETS: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/webhook-secrets)' },
  empty(webhookUrl) ? {} : { WEBHOOK_URL: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/webhook-url)' }
)

module app 'app.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: storage.outputs.name
    packageUrl: storage.outputs.packageUrl
    insightsConnection: telemetry.outputs.connectionString
    settings: union(
      withVideoResource ? { AZURE_OPENAI_ENDPOINT: 'https://${video!.properties.customSubDomainName}.openai.azure.com', AZURE_OPENAI_DEPLOYMENT: videoDeployment } : {},
      empty(videoBackends) ? {} : { VIDEO_BACKENDS: string(videoBackends) },
      { RETENTION_DAYS: string(retentionDays) },
      withSignIn ? { SIGN_IN: 'easy-auth', OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identity.outputs.clientId } : {},
      given
    )
    references: references
    subnetId: privateNetwork ? network!.outputs.appSubnetId : ''
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: concat(
      alwaysReadyHttp > 0 ? [{ name: 'http', instanceCount: alwaysReadyHttp }] : [],
      alwaysReadyPoll > 0 ? [{ name: 'function:poll_job', instanceCount: alwaysReadyPoll }] : []
    )
    corsOrigins: corsOrigins
    batchSize: queueBatchSize
    newBatchThreshold: queueNewBatchThreshold
  }
  dependsOn: [storageAccess, vaultRole]
}

module signIn 'sign-in.bicep' = if (withSignIn) {
  scope: group
  params: { siteName: app.outputs.name, registrationClientId: signInClientId }
}

module alerts 'alerts.bicep' = if (!empty(alertEmail)) {
  scope: group
  params: {
    location: location
    tags: tags
    insightsId: telemetry.outputs.insightsId
    storageId: storage.outputs.id
    email: alertEmail
  }
}

module budget 'budget.bicep' = if (withBudget) {
  scope: group
  params: { amount: budgetAmount, startDate: budgetStart, email: alertEmail }
}

output FUNCTION_APP_NAME string = app.outputs.name
output RESOURCE_GROUP string = group.name
output API_URL string = '${app.outputs.url}/api'
output STUDIO_URL string = '${app.outputs.url}${withSignIn ? '/.auth/login/aad?post_login_redirect_uri=' : ''}/api/studio'
output STORAGE_ACCOUNT string = storage.outputs.name
output INSIGHTS_NAME string = telemetry.outputs.insightsName
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
// Each is written ROLE=SCOPE; a blank separates two of them.
output ROLES_ELSEWHERE string = join(rolesElsewhere, ' ')
