package etcd_test

import (
	"slices"
	"strings"
	"testing"
)

// versionsScenario is a cluster of three that goes up a minor and down again.
type versionsScenario struct {
	*scenario
	lower, upper string
}

var versionSteps = []struct {
	name string
	do   func(*versionsScenario)
}{
	{"a new cluster decides for its minor", (*versionsScenario).bootstrapLower},
	{"the cluster version follows an upgrade only when all members have it", (*versionsScenario).upgrade},
	{"then the former binary refuses to start", (*versionsScenario).formerBinary},
	{"a downgrade by two minors is refused", (*versionsScenario).refuseTwo},
	{"a downgrade lowers the cluster version and converts the data of all", (*versionsScenario).enable},
	{"nothing can join meanwhile", (*versionsScenario).join},
	{"when it is cancelled, the cluster version rises again", (*versionsScenario).cancel},
	{"the members are brought down, and it ends by itself", (*versionsScenario).downgrade},
	{"no acknowledged write is lost", func(s *versionsScenario) { s.checkWrites() }},
}

func runVersions(t *testing.T, lower, upper string, newWorld func(*testing.T) world) {
	w := newWorld(t)
	for _, step := range versionSteps {
		if !t.Run(step.name, func(t *testing.T) {
			w.during(t)
			step.do(&versionsScenario{&scenario{T: t, world: w}, lower, upper})
		}) {
			t.Fatal("the scenario cannot go on")
		}
	}
}

func TestTheModelChangesVersionsLikeEtcd(t *testing.T) {
	runVersions(t, "3.6", "3.7", func(t *testing.T) world { return newModelWorld(t) })
}

func trio() []string { return []string{"a", "b", "c"} }

// restart starts a member anew with the binary of the minor.
func (s *versionsScenario) restart(name, minor string) {
	s.Helper()
	for range 5 {
		s.wait() // what is written within the last 100 ms may not survive a kill
	}
	s.kill(name)
	s.untilLeader(name)
	s.use(minor)
	s.start(name, true, name)
	s.until(name+" serves", func() bool {
		if code, message, exited := s.exited(name); exited {
			s.Fatalf("%s of %s exits with %d: %s", name, minor, code, message[max(0, len(message)-3000):])
		}
		_, err := s.client(name).Status(s.ctx())
		return err == nil
	})
	s.untilServing(name)
	s.write("with " + name + " at " + minor)
}

func (s *versionsScenario) clusterVersion(name string) string {
	minor, err := s.client(name).ClusterVersion(s.ctx())
	if err != nil {
		return err.Error()
	}
	return minor
}

// untilVersion waits until all members tell the cluster version, and have data of it, as far as they tell.
func (s *versionsScenario) untilVersion(minor string) {
	s.Helper()
	s.until("all are at "+minor, func() bool {
		return !slices.ContainsFunc(trio(), func(name string) bool {
			return s.clusterVersion(name) != minor || minor > "3.5" && s.status(name).StorageVersion != minor+".0"
		})
	})
}

func (s *versionsScenario) untilDowngrade(target string) {
	s.Helper()
	s.until("all tell that a downgrade is enabled to "+target, func() bool {
		return !slices.ContainsFunc(trio(), func(name string) bool { return s.status(name).DowngradeTarget != target })
	})
}

func (s *versionsScenario) bootstrapLower() {
	s.use(s.lower)
	for _, name := range trio() {
		s.start(name, false, trio()...)
	}
	s.untilServing(trio()...)
	s.untilVersion(s.lower)
	own, err := s.client("a").OwnMembers(s.ctx())
	if s.wantError(nil, err); len(own.Members) != 3 {
		s.Errorf("a lists %v, want three members", own.Members)
	}
}

func (s *versionsScenario) upgrade() {
	for _, name := range trio() {
		if got := s.clusterVersion(name); got != s.lower {
			s.Errorf("before %s is upgraded the cluster version is %s, want %s", name, got, s.lower)
		}
		s.restart(name, s.upper)
	}
	s.untilVersion(s.upper)
}

func (s *versionsScenario) formerBinary() {
	s.kill("a")
	s.use(s.lower)
	s.start("a", true, "a")
	s.until("a exits", func() bool { _, _, exited := s.exited("a"); return exited })
	if _, message, _ := s.exited("a"); !strings.Contains(message, "invalid downgrade") &&
		!strings.Contains(message, s.upper+`.0\" is not supported`) && !strings.Contains(message, s.upper+`.0" is not supported`) {
		s.Errorf("a says %s", message)
	}
	s.restart("a", s.upper)
}

func (s *versionsScenario) refuseTwo() {
	if err := s.leader().EnableDowngrade(s.ctx(), "3.4"); err == nil {
		s.Error("no error")
	}
	s.untilDowngrade("")
}

func (s *versionsScenario) enable() {
	s.wantError(nil, s.leader().EnableDowngrade(s.ctx(), s.lower))
	s.untilDowngrade(s.lower)
	s.until("the cluster version is lowered", func() bool { return s.clusterVersion("a") == s.lower })
	if s.lower > "3.5" {
		s.untilVersion(s.lower)
	}
	if err := s.leader().EnableDowngrade(s.ctx(), s.lower); err == nil {
		s.Error("it is enabled twice")
	}
}

func (s *versionsScenario) join() {
	s.mustAdd("d")
	for _, minor := range []string{s.lower, s.upper} {
		s.use(minor)
		s.start("d", true, "a", "b", "c", "d")
		s.wantExit("d", []int{1}, "incompatible with current running cluster")
	}
	s.mustRemove("d")
}

func (s *versionsScenario) cancel() {
	s.wantError(nil, s.leader().CancelDowngrade(s.ctx()))
	s.untilDowngrade("")
	s.untilVersion(s.upper)
	s.wantError(nil, s.leader().CancelDowngrade(s.ctx()))
}

func (s *versionsScenario) downgrade() {
	s.enable()
	for _, name := range trio() {
		s.restart(name, s.lower)
	}
	s.untilDowngrade("")
	s.untilVersion(s.lower)
}
