# A call as an agent of the mesh makes it. Source this file where issuer.py and its key are.
#
#   call AGENT METHOD SERVICE PATH [SUBJECT TO SCOPE [THROUGH ...]]
#
# What follows the path goes to issuer.py and becomes the token; without it no token is sent.
call() {
    agent=$1 method=$2 service=$3 path=$4
    shift 4
    token=
    if [ "$#" -gt 0 ]; then
        token=$(python issuer.py token "$@") || return
    fi
    kubectl exec -n agents "deployment/$agent" -c agent -- \
        curl --silent --include --path-as-is --request "$method" \
        ${token:+--header "Authorization: Bearer $token"} "http://$service.store:8080$path"
}
