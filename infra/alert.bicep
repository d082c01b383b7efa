@description('What all alerts share: location, tags, insightsId, actionGroupId.')
param common object
param name string
param severity int
param window string
param query string

resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'reelkeep-${name}'
  location: common.location
  tags: common.tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Reelkeep: ${name}'
    severity: severity
    enabled: true
    scopes: [common.insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: window
    autoMitigate: true
    skipQueryValidation: true // the tables exist after the app's first lines only
    criteria: {
      allOf: [
        { query: query, timeAggregation: 'Count', operator: 'GreaterThan', threshold: 0 }
      ]
    }
    actions: { actionGroups: [common.actionGroupId], customProperties: { runbook: 'docs/runbook.md#${name}' } }
  }
}
