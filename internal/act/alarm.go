package act

import (
	"context"
	"fmt"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
)

// disarm ends an alarm, through the leader.
func (e *Executor) disarm(ctx context.Context, c *state.Cluster, s plan.DisarmAlarm) error {
	leader, err := e.leader(c)
	if err != nil {
		return err
	}
	if err := leader.Disarm(ctx, etcd.Alarm{Type: etcd.AlarmType(s.Type), MemberID: s.Member}); err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return nil
}
