package resources

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
)

// extraFlag is a flag that spec.etcd.extraArgs may set: its names in the minors, the last being the API's, and what
// its value must be.
type extraFlag struct {
	names names
	check func(value string) error
}

// extraFlags is the allow-list. None of them touches identity, membership, URLs, the data directory or durability.
func extraFlags() []extraFlag {
	return []extraFlag{
		{always("auth-token-ttl"), number(1, math.MaxInt32)},
		{always("backend-batch-interval"), duration(time.Millisecond)},
		{always("backend-batch-limit"), number(1, math.MaxInt32)},
		{always("backend-bbolt-freelist-type"), oneOf("array", "map")},
		// golang.org/x/crypto/bcrypt: etcd silently takes its default outside these.
		{always("bcrypt-cost"), number(4, 31)},
		{graduated("compaction-batch-limit"), number(1, math.MaxInt32)},
		{graduated("compaction-sleep-interval"), duration(time.Nanosecond)},
		// 0 switches the server's pings off.
		{always("grpc-keepalive-interval"), duration(0)},
		{always("grpc-keepalive-min-time"), duration(0)},
		{always("grpc-keepalive-timeout"), duration(0)},
		{always("log-level"), oneOf("debug", "info", "warn", "error", "panic", "fatal")},
		{always("max-concurrent-streams"), number(1, math.MaxUint32)},
		// It bounds etcd's own proposals too: with a few bytes no member could ever publish itself (tried).
		{always("max-request-bytes"), number(64<<10, math.MaxInt32)},
		// 0 keeps all files: they would fill the volume.
		{always("max-snapshots"), number(1, math.MaxInt32)},
		{always("max-txn-ops"), number(1, math.MaxInt32)},
		{always("max-wals"), number(1, math.MaxInt32)},
		{always("metrics"), oneOf("basic", "extensive")},
		{graduated("warning-apply-duration"), duration(time.Nanosecond)},
		{since36("warning-unary-request-duration"), duration(time.Nanosecond)},
		// etcd server/etcdserver/api/v3rpc/watch.go, minWatchProgressInterval.
		{graduated("watch-progress-notify-interval"), duration(100 * time.Millisecond)},
	}
}

func (f extraFlag) name() string { return f.names[minors-1] }

func extraFlagNamed(name string) (extraFlag, bool) {
	flags := extraFlags()
	i := slices.IndexFunc(flags, func(f extraFlag) bool { return f.name() == name })
	if i < 0 {
		return extraFlag{}, false
	}
	return flags[i], true
}

// extraValues are the user's flags under the names of one minor.
type extraValues struct {
	order  []string
	values map[string]string
}

// extraArgs leaves out what Validate refuses: a flag that the minor does not know, or a value that it does not take,
// would keep the member from starting.
func extraArgs(e v1alpha1.EtcdOptions, m minor) extraValues {
	out := extraValues{values: map[string]string{}}
	for _, arg := range e.ExtraArgs {
		if f, ok := extraFlagNamed(arg.Name); ok && f.names[m] != "" && f.check(arg.Value) == nil {
			out.order = append(out.order, f.names[m])
			out.values[f.names[m]] = arg.Value
		}
	}
	slices.Sort(out.order)
	return out
}

func (f *findings) extraArgs(args []v1alpha1.ExtraArg, m minor) {
	for _, arg := range args {
		field := "spec.etcd.extraArgs[" + arg.Name + "]"
		known, ok := extraFlagNamed(arg.Name)
		switch {
		case !ok:
			f.addf(field, "is not in the allow-list: remove it")
		case known.names[m] == "":
			f.addf(field, "does not exist in etcd %s: remove it, or set spec.version to a later minor", m)
		default:
			if err := known.check(arg.Value); err != nil {
				f.addf(field, "%v", err)
			}
		}
	}
}

// ownPings is how often the operator pings a member while a call waits. etcd ends connections that ping more often than
// it allows (go.etcd.io/etcd/server/v3/embed, Config.GRPCKeepAliveMinTime).
const ownPings = 10 * time.Second

// pings tells of a limit on pings that the operator's own calls of several seconds do not keep.
func (f *findings) pings(args []v1alpha1.ExtraArg) {
	for _, arg := range args {
		if d, err := time.ParseDuration(arg.Value); arg.Name == "grpc-keepalive-min-time" && err == nil && d > ownPings {
			f.addf("spec.etcd.extraArgs["+arg.Name+"]", "is %s, but the operator pings every %s while a call waits, so that "+
				"etcd would end a defragmentation's connection: set it to %s at most", arg.Value, ownPings, ownPings)
		}
	}
}

func number(low, high int64) func(string) error {
	return func(value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < low || n > high {
			return fmt.Errorf("is %q: give a whole number from %d to %d", value, low, high)
		}
		return nil
	}
}

func duration(low time.Duration) func(string) error {
	return func(value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < low {
			return fmt.Errorf("is %q: give a duration with its unit of at least %s, such as 10s", value, low)
		}
		return nil
	}
}

func oneOf(allowed ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(allowed, value) {
			return fmt.Errorf("is %q: give one of %s", value, strings.Join(allowed, ", "))
		}
		return nil
	}
}
