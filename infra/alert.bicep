@description('What all alerts share: location, tags, insightsId, actionGroupId.')
param common object
param name string
@description('What happened, in a sentence: the mail begins with it.')
param says string
param severity int
@description('Longer than the time between two looks where a line comes once: lines arrive minutes late.')
param window string
param query string
@description('Columns of the query that the mail names. Each new value of them is an alert of its own.')
param names array = []

resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'reelkeep-${name}'
  location: common.location
  tags: common.tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Reelkeep: ${name}'
    description: '${says} What to do: docs/runbook.md#${name}'
    severity: severity
    enabled: true
    scopes: [common.insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: window
    autoMitigate: true
    skipQueryValidation: true // the tables exist after the app's first lines only
    criteria: {
      allOf: [
        {
          query: query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          dimensions: [for column in names: { name: column, operator: 'Include', values: ['*'] }]
        }
      ]
    }
    actions: { actionGroups: [common.actionGroupId], customProperties: { runbook: 'docs/runbook.md#${name}' } }
  }
}
