// Each alert has an entry of its name in docs/runbook.md. What its query looks for, the app logs.
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

// The host ends itself where storage or identity refuse it: this one catches all of that.
module sweeperSilent 'alert.bicep' = {
  params: { common: common, name: 'sweeper-silent', severity: 0, window: 'PT10M', query: loadTextContent('queries/sweeper-silent.kql') }
}

module videoInDanger 'alert.bicep' = {
  params: { common: common, name: 'video-in-danger', severity: 1, window: 'PT5M', query: loadTextContent('queries/video-in-danger.kql') }
}

module criticalLine 'alert.bicep' = {
  params: { common: common, name: 'critical-line', severity: 1, window: 'PT5M', query: loadTextContent('queries/critical-line.kql') }
}

module gateToMend 'alert.bicep' = {
  params: { common: common, name: 'gate-to-mend', severity: 1, window: 'PT5M', query: loadTextContent('queries/gate-to-mend.kql') }
}

module messagePoisoned 'alert.bicep' = {
  params: { common: common, name: 'message-poisoned', severity: 2, window: 'PT5M', query: loadTextContent('queries/message-poisoned.kql') }
}

module errorLine 'alert.bicep' = {
  params: { common: common, name: 'error-line', severity: 2, window: 'PT5M', query: loadTextContent('queries/error-line.kql') }
}

module answers5xx 'alert.bicep' = {
  params: { common: common, name: 'answers-5xx', severity: 2, window: 'PT5M', query: loadTextContent('queries/answers-5xx.kql') }
}

module functionFailed 'alert.bicep' = {
  params: { common: common, name: 'function-failed', severity: 2, window: 'PT5M', query: loadTextContent('queries/function-failed.kql') }
}

module queueLate 'alert.bicep' = {
  params: { common: common, name: 'queue-late', severity: 2, window: 'PT5M', query: loadTextContent('queries/queue-late.kql') }
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
