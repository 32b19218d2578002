package resources

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/state"
)

const (
	flagQuota    = "quota-backend-bytes"
	flagPeerName = "peer-cert-allowed-cn"
)

// minor is an etcd minor that the flag table knows, in ascending order.
type minor int

const (
	etcd35 minor = iota
	etcd36
	etcd37
	minors
)

func (m minor) String() string { return [...]string{"3.5", "3.6", "3.7"}[m] }

// minorOf is the minor of a full version number; false for one that the flag table does not know.
func minorOf(version string) (minor, bool) {
	for m := range minors {
		if strings.HasPrefix(version, m.String()+".") {
			return m, true
		}
	}
	return 0, false
}

// names is how a flag is called in each minor; empty where the minor lacks it. All of them were read in the servers of
// 3.5.35 (etcdmain/config.go), 3.6.16 and 3.7.3 (embed/config.go, AddFlags; etcdmain/config.go): an unknown flag ends
// etcd with exit code 2.
type names [minors]string

func always(name string) names  { return names{name, name, name} }
func since36(name string) names { return names{"", name, name} }
func only35(name string) names  { return names{name, "", ""} }

// graduated is a flag that 3.5 knows with the prefix experimental- only. (3.6 knows both names, 3.7 the new one.)
func graduated(name string) names { return names{"experimental-" + name, name, name} }

// rendering is what the values of flags are made from.
type rendering struct {
	cluster     *v1alpha1.EtcdCluster
	incarnation state.Incarnation
	wildcard    string
	anyPeerName bool
}

func (r rendering) etcd() v1alpha1.EtcdOptions {
	if r.cluster.Spec.Etcd != nil {
		return *r.cluster.Spec.Etcd
	}
	return v1alpha1.EtcdOptions{}
}

// memberFlag is a line of the table; an empty value leaves the flag out.
type memberFlag struct {
	names names
	value func(rendering) string
}

// flagTable is every flag that the operator sets, for all minors.
func flagTable() []memberFlag {
	return slices.Concat(identityFlags(), tlsFlags(), serverFlags())
}

func identityFlags() []memberFlag {
	return []memberFlag{
		{always("name"), func(r rendering) string { return MemberName(r.cluster.Name, r.incarnation.Slot) }},
		{always("data-dir"), fixed(dataDir)},
		{always("listen-peer-urls"), func(r rendering) string { return url(scheme(r.cluster), r.wildcard, PeerPort) }},
		{always("listen-client-urls"), func(r rendering) string { return url(scheme(r.cluster), r.wildcard, ClientPort) }},
		{always("listen-metrics-urls"), func(r rendering) string { return url(plainScheme, r.wildcard, MetricsPort) }},
		{always("initial-advertise-peer-urls"), func(r rendering) string { return r.incarnation.PeerURL }},
		{always("advertise-client-urls"), func(r rendering) string {
			return ClientURL(r.cluster, r.incarnation.Slot)
		}},
		{always("initial-cluster-token"), func(r rendering) string { return r.incarnation.Token }},
		{always("initial-cluster"), fixed("$(" + envInitialCluster + ")")},
		{always("initial-cluster-state"), fixed("$(" + envInitialClusterState + ")")},
	}
}

func serverFlags() []memberFlag {
	return []memberFlag{
		{always(flagQuota), func(r rendering) string {
			quota := cmp.Or(r.incarnation.Quota, QuotaBackendBytes(r.cluster, quotaSize(r.cluster, r.incarnation)))
			return strconv.FormatInt(quota, 10)
		}},
		// Explicit, because 3.5 defaults to 100000, which costs memory and makes joining slow.
		{always("snapshot-count"), func(r rendering) string {
			return strconv.FormatInt(ptr.Deref(r.etcd().SnapshotCount, defaultSnapshotCount), 10)
		}},
		{always("heartbeat-interval"), func(r rendering) string { return milliseconds(r.etcd().HeartbeatInterval) }},
		{always("election-timeout"), func(r rendering) string { return milliseconds(r.etcd().ElectionTimeout) }},
		{always("auto-compaction-mode"), func(r rendering) string { return strings.ToLower(string(r.compaction().Mode)) }},
		{always("auto-compaction-retention"), func(r rendering) string { return r.compaction().Retention }},
		// Every member checks it while it applies a change, so it must be the same on all of them for ever.
		{since36("max-learners"), fixed("1")},
		{only35("experimental-initial-corrupt-check"), fixed("true")},
		{only35("experimental-compact-hash-check-enabled"), fixed("true")},
		{since36("feature-gates"), fixed("InitialCorruptCheck=true,CompactHashCheck=true")},
		// What kube-apiserver's watch cache wants; the default of 10 min lets it lag.
		{graduated("watch-progress-notify-interval"), fixed("5s")},
		// The gateway makes etcd dial itself, for an API that is used next to never.
		{always("enable-grpc-gateway"), fixed("false")},
		{always("log-outputs"), fixed("stderr")},
	}
}

func fixed(value string) func(rendering) string {
	return func(rendering) string { return value }
}

// args renders etcd's command line for the incarnation, started as start says. A version of an unknown minor gets the
// newest minor's flags; Validate has refused it before.
func args(c *v1alpha1.EtcdCluster, i state.Incarnation, start state.Start) []string {
	m, known := minorOf(i.Version)
	if !known {
		m = minors - 1
	}
	r := rendering{cluster: c, incarnation: i, wildcard: "0.0.0.0", anyPeerName: start.AnyPeerName}
	if start.IPv6 {
		r.wildcard = "::"
	}
	extra := extraArgs(r.etcd(), m)
	var out []string
	for _, f := range flagTable() {
		name, value := f.names[m], f.value(r)
		if _, overridden := extra.values[name]; name == "" || value == "" || overridden {
			continue
		}
		out = append(out, "--"+name+"="+value)
	}
	for _, name := range extra.order {
		out = append(out, "--"+name+"="+extra.values[name])
	}
	return out
}

func url(scheme, host string, port int) string {
	return scheme + net.JoinHostPort(host, strconv.Itoa(port))
}
