package tenant

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeysOfTheStoredKindsAreFoundInTheOutputOfEtcdctl(t *testing.T) {
	const output = `/registry/pods/ns/b

/registry/minions/node-1

/registry/podtemplates/ns/other-kind

/registry/leases/ns/other-kind

compact_rev_key

/registry/clusterroles/system:node
`
	want := []string{"/registry/clusterroles/system:node", "/registry/minions/node-1", "/registry/pods/ns/b"}
	if diff := cmp.Diff(want, KeysIn(output)); diff != "" {
		t.Errorf("the keys differ (-want +got):\n%s", diff)
	}
}
