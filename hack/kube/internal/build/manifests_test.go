package build

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheManifestsOfAModuleAreKept(t *testing.T) {
	hack := t.TempDir()
	for name, content := range map[string]string{
		"tool/go.mod": "module example.com/tool", "tool/crds/one.yaml": "1", "tool/crds/two.yaml": "2",
		"tool/crds/README.md": "no manifest", "tool/empty/README.md": "no manifest",
	} {
		edit(t, hack, name, content)
	}
	tests := []struct {
		name string
		from moduleDirectory
		want map[string]string
		// refusal is part of the error; empty means none.
		refusal string
	}{
		{name: "none are asked for"},
		{
			name: "only YAML files are copied", from: moduleDirectory{"example.com/tool", "crds"},
			want: map[string]string{"one.yaml": "1", "two.yaml": "2"},
		},
		{
			name: "a directory without any is refused", from: moduleDirectory{"example.com/tool", "empty"},
			refusal: "module example.com/tool has them elsewhere now",
		},
		{
			name: "a module that is not required is refused", from: moduleDirectory{"example.com/other", "crds"},
			refusal: "find module example.com/other",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "manifests")
			set := binaries{module: "tool", manifests: test.from}
			err := (&Builder{Hack: hack}).copyManifests(t.Context(), set, target)
			if test.refusal != "" {
				if err == nil || !strings.Contains(err.Error(), test.refusal) {
					t.Errorf("got error %v, want one with %q", err, test.refusal)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := contents(t, target); !maps.Equal(got, test.want) {
				t.Errorf("copied %v, want %v", got, test.want)
			}
		})
	}
}

// contents maps the names of the files in a directory to what is in them.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(file)] = string(content)
	}
	return found
}

func TestVersionsAreThoseThatTheModulesPin(t *testing.T) {
	pins := map[string]string{
		"kubernetes":   "k8s.io/kubernetes " + KubernetesVersion,
		"coredns":      "github.com/coredns/coredns v" + CoreDNSVersion,
		"cert-manager": "github.com/cert-manager/cert-manager " + CertManagerVersion,
	}
	for _, version := range EtcdVersions() {
		pins[etcd(version).module[len("tools/"):]] = "go.etcd.io/etcd/server/v3 v" + version
	}
	for _, module := range slices.Sorted(maps.Keys(pins)) {
		content, err := os.ReadFile(filepath.Join("..", "..", "..", "tools", module, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		pinned := func(line string) bool {
			return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "require ")) == pins[module]
		}
		if !slices.ContainsFunc(strings.Split(string(content), "\n"), pinned) {
			t.Errorf("hack/tools/%s/go.mod does not require %q", module, pins[module])
		}
	}
}
