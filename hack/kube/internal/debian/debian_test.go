package debian

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMissingPackages(t *testing.T) {
	wanted := []requirement{{"containerd", "containerd"}, {"ctr", "containerd"}, {"nft", "nftables"}, {"runc", "runc"}}
	tests := []struct {
		name    string
		present []string
		want    []string
	}{
		{"all present", []string{"containerd", "ctr", "nft", "runc"}, nil},
		{"a package is named once for several programs", []string{"runc"}, []string{"containerd", "nftables"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			have := map[string]bool{}
			for _, program := range test.present {
				have[program] = true
			}
			got := missingPackages(wanted, func(program string) bool { return have[program] })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("packages differ (-want +got):\n%s", diff)
			}
		})
	}
}
