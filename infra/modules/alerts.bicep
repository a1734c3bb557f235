// What somebody should hear of. Each row's runbook is in docs/operations.md, under the alert's name.

@description('Its region.')
param location string

@description('Tags of everything here.')
param tags object

@description('The Log Analytics workspace that gets its logs.')
param workspaceId string

@description('The Cosmos DB account.')
param cosmosId string

@description('Whom alerts write to; empty for nobody.')
param email string

var queries = [
  {
    name: 'sign-in-failures'
    severity: 2
    period: 'PT15M'
    description: 'More than a tenth of the sign-ins fail, and at least ten did.'
    query: 'AppMetrics | where Name == "oauth_proxy.sign_ins" | summarize failed = sumif(Sum, Properties["outcome"] != "ok"), all = sum(Sum) | where failed >= 10 and failed > 0.1 * all'
  }
  {
    name: 'refresh-failures'
    severity: 2
    period: 'PT15M'
    description: 'More than a tenth of the refreshes fail, and at least ten did: people will have to sign in again.'
    query: 'AppMetrics | where Name == "oauth_proxy.refreshes" | summarize failed = sumif(Sum, Properties["outcome"] != "ok"), all = sum(Sum) | where failed >= 10 and failed > 0.1 * all'
  }
  {
    name: 'server-errors'
    severity: 1
    period: 'PT5M'
    description: 'More than one response in twenty is a 5xx, and at least ten are.'
    query: 'AppMetrics | where Name == "http.server.request.duration" | summarize failed = sumif(ItemCount, toint(Properties["http.response.status_code"]) >= 500), all = sum(ItemCount) | where failed >= 10 and failed > 0.05 * all'
  }
  {
    name: 'key-age'
    severity: 3
    period: 'P1D'
    description: 'A sealing key is older than 100 days, or ends within 14.'
    query: 'AppMetrics | where Name in ("oauth_proxy.key.age", "oauth_proxy.key.expires_in") | summarize arg_max(TimeGenerated, Sum, ItemCount) by Name, purpose = tostring(Properties["purpose"]) | extend days = Sum / ItemCount / 86400.0 | where (Name endswith "age" and days > 100) or (Name endswith "expires_in" and days < 14)'
  }
]

var actions = empty(email) ? [] : [people.id]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'oauth-proxy'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'oauth-proxy'
    enabled: true
    emailReceivers: [{ name: 'operators', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in queries: {
    name: 'oauth-proxy-${rule.name}'
    location: location
    tags: tags
    properties: {
      displayName: 'oauth-proxy: ${rule.name}'
      description: rule.description
      severity: rule.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: rule.period
      windowSize: rule.period
      // The table has its columns only after the first telemetry.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      // Azure Monitor refuses a stateful rule that looks less often than every twelve hours.
      autoMitigate: rule.period != 'P1D'
      actions: { actionGroups: actions }
    }
  }
]

resource throttling 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'oauth-proxy-store-throttled'
  location: 'global'
  tags: tags
  properties: {
    description: 'Cosmos DB responds 429: the request units are used up.'
    severity: 2
    enabled: true
    scopes: [cosmosId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'throttled'
          metricNamespace: 'Microsoft.DocumentDB/databaseAccounts'
          metricName: 'TotalRequests'
          dimensions: [{ name: 'StatusCode', operator: 'Include', values: ['429'] }]
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 10
        }
      ]
    }
    actions: [for id in actions: { actionGroupId: id }]
  }
}
