module deputize.dev/tools/crds

go 1.26.7

// Not built: their custom resource definitions and API descriptions are read.
require (
	github.com/agentgateway/agentgateway v1.4.1
	github.com/cert-manager/cert-manager v1.21.2
	github.com/envoyproxy/gateway v1.9.1
	github.com/kgateway-dev/kgateway/v2 v2.2.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
	istio.io/istio v0.0.0-20260827124520-eed52ebb66ad
	k8s.io/kubernetes v1.36.3
	sigs.k8s.io/gateway-api v1.6.3
)
