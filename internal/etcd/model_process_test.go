package etcd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/etcd"
)

// config is what a member of three would be started with.
func (w *modelWorld) config(name string) etcd.ProcessConfig {
	return etcd.ProcessConfig{
		PodUID: name, Name: name, Address: name + ":2379", PeerURL: w.peerURL(name), ClientURL: w.clientURL(name),
		InitialCluster: "a=http://a:2380,b=http://b:2380,c=http://c:2380", Token: w.token(), Version: "3.6.16",
		DataDir: w.volumes[name],
	}
}

// startTest starts member c of three after something happened to the cluster, with the configuration that edit makes.
type startTest struct {
	name    string
	arrange func(*modelWorld)
	edit    func(*modelWorld, *etcd.ProcessConfig)
	code    int
	exit    string // empty when it runs
}

func (test startTest) run(t *testing.T) {
	w := newCluster(t, "a", "b", "c")
	test.arrange(w)
	w.kill("c")
	w.pass(2 * time.Second)
	config := w.config("c")
	test.edit(w, &config)
	got := w.model.Start(config)
	if got.Running != (test.exit == "") || got.ExitCode != test.code || !strings.Contains(got.Message, test.exit) {
		t.Errorf("got %+v, want exit %d with %q", got, test.code, test.exit)
	}
}

func TestStartsWithALogInTheModel(t *testing.T) {
	for _, test := range []startTest{
		{"with a log all initial flags are ignored", nothing, func(_ *modelWorld, c *etcd.ProcessConfig) {
			c.Name, c.InitialCluster, c.Token, c.Existing = "x", "nonsense", "other", true
		}, 0, ""},
		{"with a log an older minor than the cluster's does not start", nothing, func(_ *modelWorld, c *etcd.ProcessConfig) {
			c.Version = "3.5.35"
		}, 2, "invalid downgrade"},
		{"with a log another patch of the minor starts", nothing, func(_ *modelWorld, c *etcd.ProcessConfig) {
			c.Version = "3.6.14"
		}, 0, ""},
	} {
		t.Run(test.name, test.run)
	}
}

func TestJoinsInTheModel(t *testing.T) {
	for _, test := range []startTest{
		{"a joiner without a peer that answers exits", func(w *modelWorld) { w.kill("a"); w.kill("b") },
			func(_ *modelWorld, c *etcd.ProcessConfig) { c.Existing, c.DataDir = true, nil }, 1, "cannot fetch cluster info"},
		{"a joiner that is cut off exits", func(w *modelWorld) { w.model.Partition("c", true) },
			func(_ *modelWorld, c *etcd.ProcessConfig) { c.Existing, c.DataDir = true, nil }, 1, "cannot fetch cluster info"},
		{"a joiner whose list is short exits", learner("d", three...),
			func(_ *modelWorld, c *etcd.ProcessConfig) { c.Existing, c.DataDir = true, nil }, 1, "member count is unequal"},
		{"a joiner that does not know a peer URL exits", nothing, func(w *modelWorld, c *etcd.ProcessConfig) {
			c.InitialCluster, c.Existing, c.DataDir = "a=http://a:2380,x=http://x:2380,c=http://c:2380", true, nil
		}, 1, "no match found for existing member"},
		{"a joiner older than the cluster version exits", nothing, func(w *modelWorld, c *etcd.ProcessConfig) {
			c.Existing, c.DataDir, c.Version = true, nil, "3.5.35"
		}, 1, "incompatible with current running cluster"},
		{"a joiner that lists all members runs", learner("d", three...), func(w *modelWorld, c *etcd.ProcessConfig) {
			c.InitialCluster, c.Existing, c.DataDir = c.InitialCluster+",d=http://d:2380", true, nil
		}, 0, ""},
	} {
		t.Run(test.name, test.run)
	}
}

func TestBootstrapsInTheModel(t *testing.T) {
	for _, test := range []startTest{
		{"a name that is not in the list exits", nothing, func(w *modelWorld, c *etcd.ProcessConfig) {
			c.Name, c.DataDir = "x", nil
		}, 1, "couldn't find local name"},
		{"a URL that is twice in the list exits", nothing, func(w *modelWorld, c *etcd.ProcessConfig) {
			c.InitialCluster, c.DataDir = "a=http://a:2380,b=http://a:2380,c=http://c:2380", nil
		}, 1, "duplicate url"},
		{"a list that is no list exits", nothing, func(w *modelWorld, c *etcd.ProcessConfig) {
			c.InitialCluster, c.DataDir = "a", nil
		}, 1, "invalid --initial-cluster"},
		{"a bootstrap under another peer URL exits", nothing, func(w *modelWorld, c *etcd.ProcessConfig) {
			c.PeerURL, c.DataDir = "http://other:2380", nil
		}, 1, "missing from --initial-advertise-peer-urls"},
		{"a bootstrap of a member that is known as started exits", nothing, func(w *modelWorld, c *etcd.ProcessConfig) {
			c.DataDir = nil
		}, 1, "has already been bootstrapped"},
		{"a bootstrap under another token starts a cluster of its own", nothing, func(w *modelWorld, c *etcd.ProcessConfig) {
			c.Token, c.DataDir = "generation-2", nil
		}, 0, ""},
		{"a data directory that is in use exits", nothing, func(w *modelWorld, c *etcd.ProcessConfig) {
			c.PodUID, c.DataDir = "second", w.volumes["a"]
		}, 1, "locked"},
		{"a version that is none exits", nothing, func(w *modelWorld, c *etcd.ProcessConfig) { c.Version = "latest" }, 1, "version"},
	} {
		t.Run(test.name, test.run)
	}
}

func TestTheClusterVersionRisesWhenAllMembersRunIt(t *testing.T) {
	w := newModelWorld(t)
	for _, name := range []string{"a", "b", "c"} {
		w.volumes[name] = &etcd.DataDir{}
		config := w.config(name)
		config.Version = "3.5.35"
		w.model.Start(config)
	}
	w.pass(6 * time.Second)
	for _, name := range []string{"a", "b", "c"} {
		if s, err := w.client("a").Status(t.Context()); err != nil || strings.HasPrefix(s.StorageVersion, "3.6") {
			t.Fatalf("status %+v, %v before %s is upgraded", s, err, name)
		}
		w.model.Start(w.config(name))
		w.pass(2 * time.Second)
	}
	if s, err := w.client("a").Status(t.Context()); err != nil || s.StorageVersion != "3.6.0" || s.Version != "3.6.16" {
		t.Errorf("status %+v, %v after the upgrade, want storage version 3.6.0", s, err)
	}
	w.wantViolations()
}

func TestAlarmsAreToldByAllMembers(t *testing.T) {
	w := newCluster(t, "a", "b", "c")
	w.model.SetAlarms(w.volumes["a"].ClusterID(), etcd.Alarm{MemberID: w.id("b"), Type: etcd.AlarmNoSpace})
	for _, name := range []string{"a", "b"} {
		alarms, err := w.client(name).Alarms(t.Context())
		if err != nil || len(alarms) != 1 || alarms[0].MemberID != w.id("b") {
			t.Errorf("%s lists the alarms %v, %v", name, alarms, err)
		}
		if s, err := w.client(name).Status(t.Context()); err != nil || len(s.Errors) != 1 {
			t.Errorf("the status of %s is %+v, %v; want one error", name, s, err)
		}
	}
}
