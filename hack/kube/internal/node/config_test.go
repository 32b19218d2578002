package node

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/network"
)

func sample(t *testing.T) Nodes {
	t.Helper()
	ranges, err := network.ChooseRanges(nil)
	if err != nil {
		t.Fatal(err)
	}
	l := layout.Layout{Dir: "/var/lib/quorate-kube"}
	return Nodes{Layout: l, Network: network.Network{Layout: l, Ranges: ranges}, Count: 3}
}

func TestKubeletConfig(t *testing.T) {
	var got map[string]any
	if err := yaml.Unmarshal([]byte(sample(t).kubeletConfig("worker-2")), &got); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]any{
		"cgroupRoot":               "/quorate-kube/worker-2/pods",
		"cgroupDriver":             "cgroupfs",
		"failCgroupV1":             false,
		"clusterDNS":               []any{"10.96.0.10"},
		"containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
		"tlsCertFile":              "/var/lib/quorate-kube/pki/worker-2-kubelet-serving.crt",
		"volumePluginDir":          "/var/lib/quorate-kube/nodes/worker-2/volume-plugins",
		"evictionHard": map[string]any{
			"memory.available": "100Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%",
		},
	} {
		if diff := cmp.Diff(want, got[field]); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", field, diff)
		}
	}
}

func TestCNIConfigGivesEachNodeItsOwnRange(t *testing.T) {
	seen := map[string]int{}
	for number := 1; number <= 3; number++ {
		var config struct {
			Plugins []struct {
				Type string `json:"type"`
				IPAM struct {
					Ranges [][]struct {
						Subnet string `json:"subnet"`
					} `json:"ranges"`
				} `json:"ipam"`
			} `json:"plugins"`
		}
		if err := json.Unmarshal([]byte(sample(t).cniConfig(number)), &config); err != nil {
			t.Fatal(err)
		}
		subnet := config.Plugins[0].IPAM.Ranges[0][0].Subnet
		if want := sample(t).Network.Ranges.Pods(number).String(); subnet != want {
			t.Errorf("node %d hands out %s, want %s", number, subnet, want)
		}
		if other, taken := seen[subnet]; taken {
			t.Errorf("nodes %d and %d both hand out %s", other, number, subnet)
		}
		seen[subnet] = number
	}
}

func TestNoTwoNodesShareAFile(t *testing.T) {
	nodes := sample(t)
	seen := map[string]int{}
	for number := 1; number <= 3; number++ {
		for file := range nodes.configFiles(number) {
			if other, taken := seen[file]; taken {
				t.Errorf("nodes %d and %d share %s", other, number, file)
			}
			seen[file] = number
			if inside, err := filepath.Rel(nodes.Layout.Dir, file); err != nil || !filepath.IsLocal(inside) {
				t.Errorf("%s lies outside the state directory", file)
			}
		}
	}
}
