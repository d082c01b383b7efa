# roles-elsewhere.ps1 give | take: what roles-elsewhere.sh does, for Windows.
if (-not $env:ROLES_ELSEWHERE) { exit 0 }
$give = $args[0] -eq 'give'
if (-not (Get-Command az -ErrorAction SilentlyContinue)) {
    Write-Host "The app's roles outside of its own resource group need the Azure CLI (az). Install it, run 'az login', then repeat this command."
    exit [int]$give
}
foreach ($each in $env:ROLES_ELSEWHERE.Split(' ')) {
    $role, $scope = $each.Split('=')
    if ($give) {
        Write-Host "The app gets its role at $scope"
        az role assignment create --assignee-object-id $env:IDENTITY_PRINCIPAL_ID `
            --assignee-principal-type ServicePrincipal --role $role --scope $scope `
            --subscription $env:AZURE_SUBSCRIPTION_ID --output none
        if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
    } else {
        Write-Host "The app's role at $scope is taken away ('azd provision' gives it again)"
        az role assignment delete --assignee $env:IDENTITY_PRINCIPAL_ID --role $role --scope $scope `
            --subscription $env:AZURE_SUBSCRIPTION_ID --output none
        if ($LASTEXITCODE -ne 0) { Write-Host "It is not, or there was none." }
    }
}
exit 0
