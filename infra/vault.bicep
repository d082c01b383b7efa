// Keys of providers and the app's other secrets. Each is in a vault, and the app's setting refers to it.
param location string
param tags object
@secure()
param azureOpenAiKey string
@secure()
param openRouterKey string
@secure()
param runwaySecret string
@secure()
param replicateToken string
@secure()
param falKey string
@secure()
param xaiKey string
@secure()
param geminiKey string
@secure()
param arkKey string
@secure()
param compatibleApiKeys string
@secure()
param webhookSecrets string
@secure()
param webhookUrl string

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: 'kv-${uniqueString(resourceGroup().id)}'
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    publicNetworkAccess: 'Enabled'
  }
}

module openAi 'vault-secret.bicep' = if (!empty(azureOpenAiKey)) {
  params: { vaultName: vault.name, secretName: 'azure-openai-api-key', secretValue: azureOpenAiKey }
}

module openRouter 'vault-secret.bicep' = if (!empty(openRouterKey)) {
  params: { vaultName: vault.name, secretName: 'openrouter-api-key', secretValue: openRouterKey }
}

module runway 'vault-secret.bicep' = if (!empty(runwaySecret)) {
  params: { vaultName: vault.name, secretName: 'runwayml-api-secret', secretValue: runwaySecret }
}

module replicate 'vault-secret.bicep' = if (!empty(replicateToken)) {
  params: { vaultName: vault.name, secretName: 'replicate-api-token', secretValue: replicateToken }
}

module fal 'vault-secret.bicep' = if (!empty(falKey)) {
  params: { vaultName: vault.name, secretName: 'fal-key', secretValue: falKey }
}

module xai 'vault-secret.bicep' = if (!empty(xaiKey)) {
  params: { vaultName: vault.name, secretName: 'xai-api-key', secretValue: xaiKey }
}

module gemini 'vault-secret.bicep' = if (!empty(geminiKey)) {
  params: { vaultName: vault.name, secretName: 'gemini-api-key', secretValue: geminiKey }
}

module ark 'vault-secret.bicep' = if (!empty(arkKey)) {
  params: { vaultName: vault.name, secretName: 'ark-api-key', secretValue: arkKey }
}

module compatibleApi 'vault-secret.bicep' = if (!empty(compatibleApiKeys)) {
  params: { vaultName: vault.name, secretName: 'openai-compatible-api-keys', secretValue: compatibleApiKeys }
}

module webhook 'vault-secret.bicep' = if (!empty(webhookSecrets)) {
  params: { vaultName: vault.name, secretName: 'webhook-secrets', secretValue: webhookSecrets }
}

module webhookTarget 'vault-secret.bicep' = if (!empty(webhookUrl)) {
  params: { vaultName: vault.name, secretName: 'webhook-url', secretValue: webhookUrl }
}

output name string = vault.name
output uri string = vault.properties.vaultUri
