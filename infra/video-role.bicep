param resourceName string
param principalId string

var cognitiveServicesUser = 'a97b65f3-24c7-4388-baec-2e87135dc908'

resource video 'Microsoft.CognitiveServices/accounts@2024-10-01' existing = {
  name: resourceName
}

resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(video.id, principalId, cognitiveServicesUser)
  scope: video
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', cognitiveServicesUser)
  }
}

output endpoint string = 'https://${video.properties.customSubDomainName}.openai.azure.com'
