@description('What all alerts share: location, tags, insightsId, actionGroupId.')
param common object
param name string
@description('One sentence that says what happened. The mail begins with it.')
param says string
param severity int
@description('If a line comes only once, longer than the time between two evaluations, since lines arrive minutes late.')
param window string
param query string
@description('Columns of the query that the mail names. Each new value is a separate alert.')
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
    skipQueryValidation: true // the tables do not exist before the app's first lines
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
