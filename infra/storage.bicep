param location string
param tags object
param sku string
param isPrivate bool
@description('Origins of front ends that play the videos; the app\'s own page needs none.')
param corsOrigins array
@description('Videos move to the cool tier after so many days; 0: never.')
param coolAfterDays int

resource storage 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: 'st${uniqueString(resourceGroup().id)}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    dnsEndpointType: 'Standard'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: { defaultAction: isPrivate ? 'Deny' : 'Allow', bypass: 'AzureServices' }
  }
}

var corsRule = {
  allowedOrigins: corsOrigins
  allowedMethods: ['GET', 'HEAD', 'OPTIONS']
  allowedHeaders: ['range']
  exposedHeaders: ['content-length', 'content-range', 'accept-ranges', 'etag']
  maxAgeInSeconds: 3600
}

resource blobService 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' = {
  parent: storage
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: 7 }
    containerDeleteRetentionPolicy: { enabled: true, days: 7 }
    cors: { corsRules: empty(corsOrigins) ? [] : [corsRule] }
  }
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = {
  parent: blobService
  name: 'app-package'
}

resource videos 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = {
  parent: blobService
  name: 'videos'
}

resource inputs 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = {
  parent: blobService
  name: 'inputs'
}

// No rule here deletes videos. RETENTION_DAYS deletes them, together with their rows.
var deleteInputs = {
  name: 'delete-old-inputs'
  type: 'Lifecycle'
  definition: {
    filters: { blobTypes: ['blockBlob'], prefixMatch: ['inputs/'] }
    actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 30 } } }
  }
}
var coolVideos = {
  name: 'cool-old-videos'
  type: 'Lifecycle'
  definition: {
    filters: { blobTypes: ['blockBlob'], prefixMatch: ['videos/'] }
    actions: { baseBlob: { tierToCool: { daysAfterModificationGreaterThan: coolAfterDays } } }
  }
}

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2024-01-01' = {
  parent: storage
  name: 'default'
  properties: { policy: { rules: concat([deleteInputs], coolAfterDays > 0 ? [coolVideos] : []) } }
  dependsOn: [blobService]
}

output name string = storage.name
output id string = storage.id
output packageUrl string = '${storage.properties.primaryEndpoints.blob}${package.name}'
