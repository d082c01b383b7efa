// Each alert has an entry with its name in docs/runbook.md. Its query reads events that the app logs.
param location string
param tags object
param insightsId string
param storageId string
param email string

resource group 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'reelkeep-alerts'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'reelkeep'
    enabled: true
    emailReceivers: [
      { name: 'operator', emailAddress: email, useCommonAlertSchema: true }
    ]
  }
}

var common = { location: location, tags: tags, insightsId: insightsId, actionGroupId: group.id }

// If storage or the identity refuses the host, the host ends. This alert catches every such case.
module sweeperSilent 'alert.bicep' = {
  params: {
    common: common
    name: 'sweeper-silent'
    says: 'The app has not swept its jobs for ten minutes: it does not run, or it can\'t reach its storage.'
    severity: 0
    window: 'PT10M'
    query: loadTextContent('queries/sweeper-silent.kql')
  }
}

module videoInDanger 'alert.bicep' = {
  params: {
    common: common
    name: 'video-in-danger'
    says: 'A video is generated, is not stored yet, and the video API soon deletes it.'
    severity: 1
    window: 'PT15M'
    query: loadTextContent('queries/video-in-danger.kql')
    names: ['job']
  }
}

module criticalLine 'alert.bicep' = {
  params: {
    common: common
    name: 'critical-line'
    says: 'The answer to a paid call has no job to go to. Import what `known` names.'
    severity: 1
    window: 'PT15M'
    query: loadTextContent('queries/critical-line.kql')
    names: ['job', 'known']
  }
}

module gateToMend 'alert.bicep' = {
  params: {
    common: common
    name: 'gate-to-mend'
    says: 'All jobs of a video API wait: its key, its deployment or its account must be mended.'
    severity: 1
    window: 'PT5M'
    query: loadTextContent('queries/gate-to-mend.kql')
    names: ['gate']
  }
}

module messagePoisoned 'alert.bicep' = {
  params: {
    common: common
    name: 'message-poisoned'
    says: 'A function failed five times over one message, or a message is none of the app\'s.'
    severity: 2
    window: 'PT15M'
    query: loadTextContent('queries/message-poisoned.kql')
    names: ['job']
  }
}

module errorLine 'alert.bicep' = {
  params: {
    common: common
    name: 'error-line'
    says: 'The app logged an error that no other alert tells of.'
    severity: 2
    window: 'PT15M'
    query: loadTextContent('queries/error-line.kql')
    names: ['job']
  }
}

module answers5xx 'alert.bicep' = {
  params: {
    common: common
    name: 'answers-5xx'
    says: 'Clients got answers of 500 or above.'
    severity: 2
    window: 'PT15M'
    query: loadTextContent('queries/answers-5xx.kql')
    names: ['name', 'resultCode']
  }
}

module functionFailed 'alert.bicep' = {
  params: {
    common: common
    name: 'function-failed'
    says: 'A function of a queue or a timer failed; it is tried again.'
    severity: 2
    window: 'PT15M'
    query: loadTextContent('queries/function-failed.kql')
    names: ['name']
  }
}

module queueLate 'alert.bicep' = {
  params: {
    common: common
    name: 'queue-late'
    says: 'The oldest message has waited for more than five minutes.'
    severity: 2
    window: 'PT5M'
    query: loadTextContent('queries/queue-late.kql')
  }
}

var criterion = { criterionType: 'StaticThresholdCriterion', metricNamespace: 'Microsoft.Storage/storageAccounts' }
var unavailable = union(criterion, { name: 'availability', metricName: 'Availability', timeAggregation: 'Average', operator: 'LessThan', threshold: 99 })
var throttled = union(criterion, {
  name: 'throttled'
  metricName: 'Transactions'
  timeAggregation: 'Total'
  operator: 'GreaterThan'
  threshold: 10
  dimensions: [
    {
      name: 'ResponseType'
      operator: 'Include'
      values: ['ServerBusyError', 'ClientThrottlingError', 'ClientAccountRequestThrottlingError', 'ClientAccountBandwidthThrottlingError']
    }
  ]
})
var singleResource = { 'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria' }
var unavailableCriteria = union(singleResource, { allOf: [unavailable] })
var throttledCriteria = union(singleResource, { allOf: [throttled] })

resource storageUnavailable 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'reelkeep-storage-unavailable'
  location: 'global'
  tags: tags
  properties: {
    description: 'Less than 99 % of the calls to the storage account succeeded. What to do: docs/runbook.md#storage-unavailable'
    severity: 1
    enabled: true
    scopes: [storageId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: unavailableCriteria
    actions: [
      { actionGroupId: group.id, webHookProperties: { runbook: 'docs/runbook.md#storage-unavailable' } }
    ]
  }
}

resource storageThrottled 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'reelkeep-storage-throttled'
  location: 'global'
  tags: tags
  properties: {
    description: 'The storage account refuses calls because there are too many. What to do: docs/runbook.md#storage-throttled'
    severity: 2
    enabled: true
    scopes: [storageId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: throttledCriteria
    actions: [
      { actionGroupId: group.id, webHookProperties: { runbook: 'docs/runbook.md#storage-throttled' } }
    ]
  }
}
