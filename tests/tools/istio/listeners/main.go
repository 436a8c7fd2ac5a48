// Listeners prints what Istio would send to one proxy, as JSON: its listeners, clusters and routes, and
// beside them the policies that it would send to ztunnels.
//
// It is Istio's own control plane, in memory, as Istio's tests run it (pilot/test/xds): it reads the
// manifests that a cluster would hold, so nothing here knows how a filter is written. For waypoints
// set PILOT_ENABLE_AMBIENT=true; Istio reads its environment before main begins.
//
// Usage:
//
//	listeners -mesh mesh.yaml -proxy '{"type": "sidecar", ...}' manifests.yaml ...
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test"
)

// istioVersion is what the proxies say they are: Istio writes otherwise for proxies of old releases.
const istioVersion = "1.31.0"

// proxy is what a proxy tells of itself when it connects.
type proxy struct {
	Type        model.NodeType    `json:"type"` // sidecar, router or waypoint
	Namespace   string            `json:"namespace"`
	Name        string            `json:"name"`
	IP          string            `json:"ip"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func main() {
	meshFile := flag.String("mesh", "", "file with the mesh configuration")
	proxyText := flag.String("proxy", "", "the proxy, as JSON")
	flag.Parse()
	quietly()
	answer, err := generate(*meshFile, *proxyText, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(answer))
}

// quietly keeps standard output for the answer.
func quietly() {
	options := log.DefaultOptions()
	options.OutputPaths = []string{"stderr"}
	options.SetDefaultOutputLevel(log.OverrideScopeName, log.WarnLevel)
	if err := log.Configure(options); err != nil {
		panic(err)
	}
}

func generate(meshFile, proxyText string, manifests []string) ([]byte, error) {
	meshConfig, err := mesh.ReadMeshConfig(meshFile)
	if err != nil {
		return nil, err
	}
	var asked proxy
	if err := json.Unmarshal([]byte(proxyText), &asked); err != nil {
		return nil, err
	}
	objects, err := readAll(manifests)
	if err != nil {
		return nil, err
	}
	var answer []byte
	err = test.Wrap(func(t test.Failer) {
		// As Istio's own tests do: the registries read the one, the policies come from the other.
		server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
			ConfigString:               objects,
			KubernetesObjectString:     objects,
			MeshConfig:                 meshConfig,
			DisableSecretAuthorization: true,
		})
		node := server.SetupProxy(&model.Proxy{
			Type:            asked.Type,
			ID:              asked.Name + "." + asked.Namespace,
			ConfigNamespace: asked.Namespace,
			IPAddresses:     []string{asked.IP},
			Labels:          asked.Labels,
			Metadata: &model.NodeMetadata{
				Namespace:    asked.Namespace,
				ClusterID:    "Kubernetes",
				IstioVersion: istioVersion,
				Labels:       asked.Labels,
				Annotations:  asked.Annotations,
			},
		})
		listeners := server.Listeners(node)
		parts := map[string][]json.RawMessage{
			"listeners": asJSON(t, listeners),
			"clusters":  asJSON(t, server.Clusters(node)),
			"routes":    asJSON(t, server.RoutesFromListeners(node, listeners)),
			"ztunnel":   ztunnelPolicies(t, server),
		}
		answer, err = json.MarshalIndent(parts, "", " ")
		if err != nil {
			t.Fatal(err)
		}
	})
	return answer, err
}

// ztunnelPolicies are all that ztunnels are sent, each with why it is refused, if it is.
func ztunnelPolicies(t test.Failer, server *xds.FakeDiscoveryServer) []json.RawMessage {
	written := []json.RawMessage{}
	for _, policy := range server.Env().Policies(nil) {
		problem := ""
		if policy.Binding.Status != nil {
			problem = policy.Binding.Status.Reason
		}
		entry := map[string]any{
			"problem":       problem,
			"authorization": asJSON(t, []proto.Message{policy.Authorization})[0],
		}
		text, err := json.Marshal(entry)
		if err != nil {
			t.Fatal(err)
		}
		written = append(written, text)
	}
	return written
}

func readAll(files []string) (string, error) {
	var texts []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		texts = append(texts, string(text))
	}
	return strings.Join(texts, "\n---\n"), nil
}

func asJSON[Message proto.Message](t test.Failer, messages []Message) []json.RawMessage {
	written := []json.RawMessage{}
	for _, message := range messages {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		written = append(written, text)
	}
	return written
}
