package plan_test

import (
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func compactable(s *v1alpha1.EtcdClusterSpec) {
	s.Maintenance = &v1alpha1.MaintenanceSpec{CompactOnNoSpace: ptr.To(true), KeepRevisions: ptr.To[int64](500)}
}

func history(compacted bool) func(*state.Cluster) {
	return func(c *state.Cluster) {
		c.Etcd.History = state.History{Known: true, Revision: 5000, Compacted: compacted}
	}
}

func defragment(b *statetest.Builder, slot int) plan.Step {
	return plan.Defragment{Member: member(slot), ID: b.ID(slot), PodUID: podUID(slot)}
}

func handOver(b *statetest.Builder, from, to int) plan.Step {
	return plan.MoveLeader{From: member(from), To: member(to), FromID: b.ID(from), ToID: b.ID(to)}
}

// endedAgo is an operation that ended before the observation, with an error unless that is empty.
func endedAgo(d time.Duration, err string) state.Operation {
	return state.Operation{Ended: statetest.Now.Add(-d), Err: err}
}

func TestAFullQuotaIsMended(t *testing.T) {
	// The quota of 8Gi is 3276 MiB, 80 % of it 2621 MiB. demo-0 leads.
	three := func() *statetest.Builder {
		return statetest.Formed(3).Volumes("8Gi").Database("3276Mi", "1Gi", 0, 1, 2).NoSpace(1)
	}
	filled := func() *statetest.Builder { return three().Database("3276Mi", "3Gi", 1) }
	disarm := plan.DisarmAlarm{Type: "NOSPACE", Member: three().ID(1)}
	const accepts = "Alarm: demo-1 has reached its quota and etcd accepts no writes: "
	larger := func(b *statetest.Builder) *statetest.Builder {
		return b.Grown("16Gi", 0, 1, 2).Spec(sizeOf("16Gi")).Budget(3)
	}
	failing := func(b *statetest.Builder) *statetest.Builder {
		return b.Spec(sizeOf("16Gi")).Request("16Gi", 0, 1, 2).Member(2, func(m *state.Member) { m.Volume.Growth.Failed = true })
	}
	scenarios{
		"unused space is given back, a follower first": {
			cluster: three(), step: defragment(three(), 1),
			blocked: []string{accepts + "members are defragmented one at a time; left: demo-0, demo-1, demo-2"},
		},
		"also while an expansion fails, of which nobody knows whether it ever comes": {
			cluster: failing(three()), step: defragment(three(), 1), blocked: []string{"VolumeGrowthRefused: the storage provider " +
				"fails to expand", "VolumeGrowing: waiting", accepts + "members are defragmented"},
		},
		"a learner only once it votes, because etcd defragments no learner": {
			cluster: three().Replicas(5).Learner(3).Launch(3).Run(3).Seal(3).Volumes("8Gi").Database("3276Mi", "1Gi", 3),
			step:    defragment(three(), 1),
			blocked: []string{
				accepts + "members are defragmented one at a time; left: demo-0, demo-1, demo-2", "ScalingUp: waiting for learner",
			},
		},
		"a lost member is replaced when the rest waits for it": {
			cluster: larger(filled()).NoPod(2).NoVolume(2),
			step:    plan.RemoveMember{Name: member(2), ID: three().ID(2), Why: "its volume is gone"},
			blocked: []string{
				"Alarm: demo-2 has to be healthy and ready first", accepts, "ReplacingMember: demo-2", "VolumeGrowing: one at a time",
			},
		},
		"and another takes its place": {
			cluster: larger(filled()).With(func(c *state.Cluster) { c.Members = c.Members[:2] }).Budget(2), step: addLearner(2),
			blocked: []string{
				"Alarm: only 1 of 2 voters would be healthy", accepts, "VolumeGrowing: only 1 of 2 voters would be healthy",
				"VolumeGrowing: restart one at a time",
			},
		},
		"so it is promoted once the others are below": {
			cluster: three().Database("1Gi", "1Gi", 0, 1, 2).Replicas(5).Learner(3).Launch(3).Run(3).Seal(3).Volumes("8Gi").
				Database("3276Mi", "1Gi", 3).Member(3, func(m *state.Member) { m.Pod.Voter = true }).Budget(3),
			step: plan.Promote{Name: member(3), ID: statetest.Formed(3).Learner(3).ID(3)},
			blocked: []string{
				accepts + "learner demo-3 is above its own, and can be defragmented once it votes", "ScalingUp: waiting for learner",
			},
		},
		"then the next": {
			cluster: three().Database("1Gi", "1Gi", 1), step: defragment(three(), 2),
			blocked: []string{accepts + "members are defragmented one at a time; left: demo-0, demo-2"},
		},
		"nothing else while it goes on": {
			cluster: three().Member(1, func(m *state.Member) {
				m.Defragmentation.Running, m.Probe = true, state.Probe{Err: "no answer in time"}
			}),
			blocked: []string{
				"Defragmenting: demo-1 is being defragmented: nothing else is changed meanwhile",
				accepts + "waiting for the above",
				"StartingMember: demo-1 is being defragmented and does not answer meanwhile",
			},
		},
		"the leader is moved away first": {
			cluster: three().Database("1Gi", "1Gi", 1, 2), step: handOver(three(), 0, 1),
			blocked: []string{accepts + "members are defragmented one at a time; left: demo-0"},
		},
		"also to one whose removal is no longer wanted, when there is no other": {
			cluster: statetest.Formed(2).Replicas(3).Volumes("8Gi").Database("3276Mi", "1Gi", 0).NoSpace(0).Retire(1).Budget(2),
			step:    handOver(three(), 0, 1),
			blocked: []string{
				"Alarm: demo-0 has reached its quota and etcd accepts no writes: members are defragmented one at a time; left: demo-0",
			},
		},
		"a single member is defragmented: it accepts no writes anyway": {
			cluster: statetest.Formed(1).Replicas(1).Volumes("8Gi").Database("3276Mi", "1Gi", 0).NoSpace(0),
			step:    defragment(statetest.Formed(1), 0),
			blocked: []string{"Alarm: demo-0 has reached its quota and etcd accepts no writes: members are defragmented"},
		},
		"not into a volume without room for the copy": {
			cluster: three().Volumes("5Gi").Member(1, func(m *state.Member) { m.Pod.Quota = 4 * gib }).
				Database("4Gi", "1Gi", 1).Database("1Gi", "1Gi", 0, 2),
			blocked: []string{accepts + "demo-1 has to be defragmented, and its volume has too little space for the copy that this makes: raise storage.size"},
		},
		"one that failed is tried again later": {
			cluster: three().Database("1Gi", "1Gi", 0, 2).Member(1, func(m *state.Member) {
				m.Defragmentation = endedAgo(time.Minute, "no answer in time")
			}),
			blocked: []string{accepts + "demo-1 was defragmented and is above its quota still (it failed: no answer in time)"},
			wake:    10 * time.Minute,
		},
		"disarmed once all are below 80 %": {
			cluster: three().Database("2600Mi", "1Gi", 0, 1, 2), step: disarm,
			blocked: []string{accepts + "every member is below 80 % of its quota by now"},
		},
		"not while one is above": {
			cluster: three().Database("1Gi", "1Gi", 0, 1), step: defragment(three(), 2), blocked: []string{accepts},
		},
		"not while one does not tell": {
			cluster: three().Database("1Gi", "1Gi", 0, 1).Unreachable(2),
			blocked: []string{
				accepts + "waiting until demo-2 answers, which may be above its quota",
				"StartingMember: demo-2 cannot be reached",
			},
		},
		"one that is known not to run does not hold it up": {
			cluster: three().Database("1Gi", "1Gi", 0, 1).NoPod(2), step: disarm,
			blocked: []string{accepts},
		},
		"an alarm that could only be guessed is not disarmed": {
			cluster: three().Database("1Gi", "1Gi", 0, 1, 2).With(func(c *state.Cluster) { c.Etcd.Alarms[0].ID = 0 }),
			blocked: []string{accepts},
		},
		"data that fills it is a person's matter": {
			cluster: filled(),
			blocked: []string{accepts + "the data and its history fill more than 80 % of the quota of demo-1, so " +
				"that defragmentation does not help. Delete data that is not needed, compact and defragment; or set maintenance.compactOnNoSpace, which " +
				"drops etcd's history; or raise storage.size, or set storage.maxSize; the rest is done then"},
		},
		"history is dropped when the spec permits it": {
			cluster: filled().Spec(compactable).With(history(false)), step: plan.Compact{Keep: 500},
			blocked: []string{accepts + "etcd's history is compacted, all but the latest 500 revisions"},
		},
		"not before the revision is known": {
			cluster: filled().Spec(compactable),
			blocked: []string{accepts + "waiting until etcd tells its latest revision"},
		},
		"what it freed is not seen before a defragmentation": {
			cluster: filled().Spec(compactable).With(history(true)).With(func(c *state.Cluster) {
				c.Etcd.Compaction = endedAgo(time.Minute, "")
				c.Members[1].Defragmentation = endedAgo(2*time.Minute, "")
			}),
			step:    defragment(three(), 1),
			blocked: []string{accepts + "members are defragmented one at a time; left: demo-0, demo-1, demo-2"},
		},
		"also when nobody remembers the compaction": {
			cluster: filled().Spec(compactable).With(history(true)), step: defragment(three(), 1), blocked: []string{accepts},
		},
		"once is enough": {
			cluster: filled().Spec(compactable).With(history(true)).With(func(c *state.Cluster) {
				c.Etcd.Compaction = endedAgo(time.Hour, "")
				for i := range c.Members {
					c.Members[i].Defragmentation = endedAgo(time.Minute, "")
				}
			}),
			blocked: []string{accepts + "the data and its history fill more than 80 % of the quota of demo-1, so that " +
				"defragmentation does not help. Delete data that is not needed, compact and defragment; or lower " +
				"maintenance.keepRevisions"},
		},
		"nor right after one that has failed": {
			cluster: filled().Spec(compactable).With(history(false)).With(func(c *state.Cluster) {
				c.Etcd.Compaction = endedAgo(time.Minute, "no answer in time")
			}),
			blocked: []string{accepts + "a compaction has ended (it failed: no answer in time)"},
		},
		"nor where defragmentation is enough": {
			cluster: three().Spec(compactable).With(history(false)), step: defragment(three(), 1), blocked: []string{accepts},
		},
		"nor where volumes may grow": {
			cluster: filled().Spec(compactable).With(history(false)).MaxSize("64Gi").Request("12Gi", 0, 1, 2),
			blocked: []string{accepts + "waiting until the volumes are expanded"},
			pending: []string{"VolumeGrowing: from 8Gi to 12Gi"},
		},
		"a larger quota is loaded by restarts, a follower first": {
			cluster: larger(filled()),
			step:    plan.DeletePod{Name: "demo-1", UID: podUID(1), Why: "it has to load a larger quota"},
			blocked: []string{
				accepts + "members restart one at a time with a quota of 6553Mi; left: demo-0, demo-1, demo-2",
				"VolumeGrowing: restart one at a time, because it has to load the quota",
			},
		},
		"and not while a voter is missing": {
			cluster: larger(filled()).NoPod(2), step: start(resumed(3, 2)),
			blocked: []string{
				"Alarm: demo-1 is to be restarted (it has to load a larger quota), but demo-2 has to be healthy",
				accepts, "VolumeGrowing: restart one at a time, because it has to load the quota",
			},
		},
		"but before voters are added that are wanted, because none is while the quota is reached": {
			cluster: larger(filled()).Replicas(5),
			step:    plan.DeletePod{Name: "demo-1", UID: podUID(1), Why: "it has to load a larger quota"},
			blocked: []string{
				accepts + "members restart one at a time with a quota of 6553Mi; left: demo-0, demo-1, demo-2",
				"VolumeGrowing: restart one at a time, because it has to load the quota",
			},
		},
		"nothing while no majority is proven": {
			cluster: three().NoPod(1, 2),
			step:    start(resumed(3, 1), resumed(3, 2)),
			blocked: []string{"MemberUnhealthy: too few voters", accepts + "waiting for the above", "StartingMember: demo-0"},
		},
		"nothing while etcd reports corruption too": {
			cluster: three().With(func(c *state.Cluster) {
				c.Etcd.Alarms = append(c.Etcd.Alarms, state.Alarm{Type: "CORRUPT", Member: "demo-2"})
			}),
			blocked: []string{"Alarm: etcd reports CORRUPT for demo-2", accepts + "waiting for the above"},
		},
	}.run(t)
}
