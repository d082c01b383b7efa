// The app's own network: the app's outgoing traffic goes through it, and storage is reached only from inside.
param location string
param tags object
param storageId string

var suffix = uniqueString(resourceGroup().id)
var zone = environment().suffixes.storage

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: 'vnet-${suffix}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.0.0.0/16'] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: '10.0.0.0/24'
          delegations: [
            { name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: { addressPrefix: '10.0.1.0/24', privateEndpointNetworkPolicies: 'Disabled' }
      }
    ]
  }
}

module blob 'private-endpoint.bicep' = {
  params: { location: location, tags: tags, storageId: storageId, kind: 'blob', zoneName: 'privatelink.blob.${zone}', networkId: network.id, subnetId: '${network.id}/subnets/endpoints' }
}

module queue 'private-endpoint.bicep' = {
  params: { location: location, tags: tags, storageId: storageId, kind: 'queue', zoneName: 'privatelink.queue.${zone}', networkId: network.id, subnetId: '${network.id}/subnets/endpoints' }
}

module table 'private-endpoint.bicep' = {
  params: { location: location, tags: tags, storageId: storageId, kind: 'table', zoneName: 'privatelink.table.${zone}', networkId: network.id, subnetId: '${network.id}/subnets/endpoints' }
}

output appSubnetId string = '${network.id}/subnets/app'
