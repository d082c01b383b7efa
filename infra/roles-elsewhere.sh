#!/bin/sh
# roles-elsewhere.sh give | take: the app's roles at resources of other groups, as main.bicep names them.
#
# They are no part of the deployment: `azd down` deletes every resource group in which a deployment has made anything.
# `take` never fails: what is left of it is an assignment to nobody.
set -eu

[ -n "${ROLES_ELSEWHERE:-}" ] || exit 0
if ! command -v az > /dev/null; then
  echo "The app's roles outside of its own resource group need the Azure CLI (az). Install it, run 'az login', then" \
    "repeat this command." >&2
  [ "$1" = take ] || exit 1
  exit 0
fi
for each in $ROLES_ELSEWHERE; do
  role=${each%%=*} scope=${each#*=}
  if [ "$1" = give ]; then
    echo "The app gets its role at $scope"
    az role assignment create --assignee-object-id "$IDENTITY_PRINCIPAL_ID" \
      --assignee-principal-type ServicePrincipal --role "$role" --scope "$scope" \
      --subscription "$AZURE_SUBSCRIPTION_ID" --output none
  else
    echo "The app's role at $scope is taken away ('azd provision' gives it again)"
    az role assignment delete --assignee "$IDENTITY_PRINCIPAL_ID" --role "$role" --scope "$scope" \
      --subscription "$AZURE_SUBSCRIPTION_ID" --output none || echo "It is not, or there was none." >&2
  fi
done
