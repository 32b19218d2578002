package resources

import (
	"strconv"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	"github.com/quorate/quorate/api/v1alpha1"
)

const (
	defaultRepairAfter = 5 * time.Minute
	// defaultHeartbeat is etcd's own (server/embed/config.go, DefaultConfig.TickMs).
	defaultHeartbeat = 100 * time.Millisecond
)

// RepairAfter is how long a member that may come back is waited for, or its default.
func RepairAfter(c *v1alpha1.EtcdCluster) time.Duration {
	if r := c.Spec.Repair; r != nil && r.After != nil {
		return r.After.Duration
	}
	return defaultRepairAfter
}

// RepairsAutomatically tells whether the operator replaces lost members without being asked.
func RepairsAutomatically(c *v1alpha1.EtcdCluster) bool {
	return c.Spec.Repair == nil || ptr.Deref(c.Spec.Repair.Mode, v1alpha1.RepairAutomatic) == v1alpha1.RepairAutomatic
}

// HeartbeatInterval is how often the leader sends to every member, or etcd's default.
func HeartbeatInterval(c *v1alpha1.EtcdCluster) time.Duration {
	if e := c.Spec.Etcd; e != nil && e.HeartbeatInterval != nil {
		return e.HeartbeatInterval.Duration
	}
	return defaultHeartbeat
}

// GivenHeartbeat is the heartbeat interval among etcd's flags; 0 when they leave it to etcd.
func GivenHeartbeat(flags []string) time.Duration {
	for _, flag := range flags {
		if ms, given := strings.CutPrefix(flag, "--heartbeat-interval="); given {
			n, _ := strconv.ParseInt(ms, 10, 64) // 0 when somebody else wrote something else
			return time.Duration(n) * time.Millisecond
		}
	}
	return 0
}
