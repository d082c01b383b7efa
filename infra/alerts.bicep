param location string
param tags object
param insightsId string
param email string

// severityLevel 3 and above also covers alarms that are plain text.
var rules = [
  {
    name: 'job-alarm'
    severity: 1
    window: 'PT5M'
    query: 'traces | where tostring(customDimensions.Category) endswith ".User" | where severityLevel >= 3 or (message startswith "{\\"event\\"" and (message has "job.alarm" or message has "job.poisoned"))'
  }
  {
    name: 'answers-5xx'
    severity: 2
    window: 'PT5M'
    query: 'requests | where toint(resultCode) >= 500'
  }
  {
    name: 'function-failed'
    severity: 2
    window: 'PT5M'
    query: 'requests | where success == false and resultCode == "0"'
  }
  {
    name: 'sweeper-silent' // the host ends itself where storage or identity refuse it
    severity: 0
    window: 'PT10M'
    query: 'requests | where name == "sweep_jobs" | summarize runs = count() | where runs == 0'
  }
]

resource group 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'reelkeep-alerts'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'reelkeep'
    enabled: true
    emailReceivers: [{ name: 'operator', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules: {
  name: rule.name
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: rule.name
    severity: rule.severity
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: rule.window
    criteria: {
      allOf: [{ query: rule.query, timeAggregation: 'Count', operator: 'GreaterThan', threshold: 0 }]
    }
    actions: { actionGroups: [group.id] }
  }
}]
