package sim

import (
	"flag"
	"fmt"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// TestSchedulesThatFailedOnce runs schedules by the seeds under which they once failed. A seed stands for its schedule
// only as long as the actions that are drawn from stay the same: a bug that a schedule finds gets a table test of its own
// besides.
func TestSchedulesThatFailedOnce(t *testing.T) {
	for _, r := range []struct {
		seed uint64
		was  string
	}{
		{2081, "members were restarted although a majority served, while renewed certificates were on their way"},
		{742, "a move in a cluster without TLS asked for a certificate authority"},
		{12404, "an eviction while nothing protected the Pods: somebody had deleted the budget of a paused cluster"},
		{4979274541312937638, "a cluster that had gone half the way back to 3.5 was brought to 3.7 on logs that it cannot read"},
		{10736680793995903593, "a cluster was decided on that its predecessor of the same name had changed unseen"},
		{4779786626381422996, "members stayed cut off: the key of a CA was lost, and then a foreign certificate published"},
		{7781263, "an upgrade that had lost its latch on the way waited for ever for a snapshot"},
		{21555617, "an operator that had seen no budget yet lowered the one that there was"},
		{26335151, "members were launched with another minor, because those that were launched before were not seen yet"},
		{35113300, "the member to be moved had no Pod, and the plan panicked"},
		{89000140, "the only member restarted for ever for a quota that followed from a claim that was left alone"},
		{102000043, "members moved to smaller volumes and back for ever, because a file written from the log is larger"},
		{571395, "a cluster was put to sleep while a learner was in flight and the list could not be read"},
		{1076305059, "a voter was restarted, because nobody knew what it trusts, while a majority served with it"},
		{20809750, "a first client CA was made beside certificates of another, by an operator that had seen none"},
		{722171747, "a leader that only the operator could not reach was asked for ever to hand over, before its own removal"},
		{604000359, "members of a CA that was lost while no majority served did not accept those of the next"},
		{405000139, "an operator that had not seen the deletion gave its former owner to Secrets that a successor had adopted"},
		{507001956, "an ephemeral member that was never seen to serve, and had just been stopped, lost its data to an edit"},
		{1010000264, "the smallest volume was gone when a member that had been planned with its quota started"},
		{1022000705, "a backup tool took back a volume of which nothing was recorded yet"},
		{1111005038, "members had mounted what somebody put in the place of what they trust, and never read anything else"},
		{1118000929, "a lost CA was restored as that of a foreign certificate in a Secret"},
		{1144000265, "a new member was waited for that the only voter did not accept before its restart, which waited for it"},
		{1311001313, "a budget that somebody deleted was made anew for those that were left, while nothing listed the voters"},
		{1722002896, "an operator whose cache was from the bootstrap lowered the budget"},
		{1750000800, "a client CA that was lost before the cluster formed locked a user out that had started even before"},
		{7074234479383431327, "a leader above its quota had only one to hand over to, whose removal was no longer wanted"},
		{7684711687595085112, "an orphan without claims that no operator had taken over was taken for deleted by the simulation"},
		{605044255643355686, "the only voter waited for a learner that could not join, because the peers' certificate had expired"},
		{10846513810982328147, "a budget made anew by an operator that had not seen the Pod of a removed voter"},
		{4984235871905218641, "the key of a CA was lost: an operator that was far behind took it for one that nobody trusts"},
		{7339270664163742986, "a new member was added and removed for ever, because its file was too large for a lowered quota"},
		{190001770, "a user that had loaded a certificate before the cluster served kept that of a former CA"},
		{303002814, "a learner was blamed for forgetting the term of a leader whose log it had not got yet"},
		{14707, "evictions on a budget that did not know yet of a Pod that somebody had deleted"},
	} {
		t.Run(fmt.Sprintf("%d: %s", r.seed, r.was), func(t *testing.T) {
			once(t, r.seed)
			rapid.Check(t, func(r *rapid.T) { schedule(r, newCoverage()) })
		})
	}
}

// once has rapid run one schedule, that of the seed, and puts its flags back at the end of the test.
func once(t *testing.T, seed uint64) {
	t.Helper()
	setFlag(t, "rapid.seed", strconv.FormatUint(seed, 10))
	setFlag(t, "rapid.checks", "1")
}

// setFlag sets a flag of rapid, and puts it back at the end of the test.
func setFlag(t *testing.T, name, value string) {
	t.Helper()
	f := flag.Lookup(name)
	before := f.Value.String()
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(before) }) // it was valid before
}
