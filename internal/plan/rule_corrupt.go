package plan

import (
	"fmt"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/quorum"
	"github.com/quorate/quorate/internal/state"
)

// corrupt tells that an alarm calls the member's data corrupt and that a majority of the voters, without it, holds the
// same data: then it is known who is right.
func corrupt(c *state.Cluster, m state.Member) bool { return c.CalledCorrupt(m.ID) && agree(c) }

func agree(c *state.Cluster) bool { return c.Agreeing() >= quorum.Majority(len(c.Voters())) }

// corruption handles an alarm about corrupt data: etcd accepts no writes while it is raised. The member is replaced by
// another rule and the alarm ended then; what cannot be settled by a majority is for people.
func (w *walk) corruption(a state.Alarm) {
	c := w.c
	m := c.MemberByID(a.ID)
	switch {
	case a.ID != 0 && m == nil && c.Etcd.Listed && agree(c):
		// Invariant: the linearizable list lacks the member, and a majority holds the same data.
		w.propose(cleanup, DisarmAlarm{Type: a.Type, Member: a.ID}, v1alpha1.ReasonAlarm,
			"its member is removed, and the others hold the same data")
		w.block(0, v1alpha1.ReasonAlarm, fmt.Sprintf("etcd reports %s for the removed member %s and accepts no writes until "+
			"the alarm is disarmed", a.Type, a.Member))
	case m != nil && corrupt(c, *m):
		w.block(0, v1alpha1.ReasonAlarm, fmt.Sprintf("etcd reports %s for %s, whose data differs from the others', which "+
			"agree. etcd accepts no writes until it is replaced; its volume is kept", a.Type, a.Member))
	case c.Etcd.Hashing && !agree(c):
		w.block(membership|cleanup, v1alpha1.ReasonAlarm, fmt.Sprintf("etcd reports %s for %s: waiting until the members "+
			"have hashed their data, which tells whose is right", a.Type, a.Member))
	default:
		w.block(membership|cleanup, v1alpha1.ReasonAlarm, fmt.Sprintf("etcd reports %s for %s: nothing is removed or "+
			"added until the alarm is cleared, because the hashes of %d of %d voters agree, and a majority has to: find out "+
			"with etcdctl endpoint hashkv whose data is right", a.Type, a.Member, c.Agreeing(), len(c.Voters())))
	}
}

// keptEvidence tells of volumes whose data is corrupt or made etcd crash, which nobody but a person deletes.
func keptEvidence(w *walk) {
	for _, v := range w.c.Leftovers.Volumes {
		if v.Evidence && v.Retired {
			w.pend(v1alpha1.ReasonAlarm, fmt.Sprintf("the volume %s of a removed member is kept, because its data is corrupt "+
				"or made etcd crash: delete the claim when nobody wants to look at it any more", v.Name))
		}
	}
}
