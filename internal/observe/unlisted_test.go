package observe

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// While etcd's list is not known, members come from the claims that carry the cluster's label. Of one that lost it, and
// of its data, nobody may say that it is gone: a lost quorum would be declared on that.
func TestAClaimThatLostItsLabelIsNoLostData(t *testing.T) {
	three := func() *statetest.Builder { return statetest.Formed(3) }
	claimOf := func(name string, labels map[string]string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
			Namespace: three().Build().Object.Namespace, Name: name, Labels: labels,
		}}
	}
	volume := resources.VolumeName(statetest.Name, 1, three().ID(1))
	own := map[string]string{resources.LabelCluster: statetest.Name}
	tests := map[string]struct {
		claim  *corev1.PersistentVolumeClaim
		listed bool
		found  bool
	}{
		"it is found by its name":                       {claim: claimOf(volume, nil), found: true},
		"also with the label of another cluster":        {claim: claimOf(volume, map[string]string{resources.LabelCluster: "x"}), found: true},
		"not when it is listed, if later":               {claim: claimOf(volume, own)},
		"not one that merely ends like it":              {claim: claimOf("other-"+volume, nil)},
		"nor another member's":                          {claim: claimOf(resources.VolumeName(statetest.Name, 1, 0xabc), nil)},
		"and etcd's list, where it is known, is enough": {claim: claimOf(volume, nil), listed: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := three().Build()
			c.Latch.Launched = []uint64{c.Members[0].ID, c.Members[1].ID, c.Members[2].ID}
			c.Members = []state.Member{c.Members[0], c.Members[2]}
			c.Etcd.Listed = test.listed
			if err := (&Observer{Live: kubetest.New(t, test.claim)}).lookForUnlisted(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if got := c.Held("PersistentVolumeClaim", test.claim.Name); got != test.found {
				t.Errorf("found is %t, want %t; foreign %v", got, test.found, c.Leftovers.Foreign)
			}
		})
	}
}
