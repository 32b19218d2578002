package act

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/quorate/quorate/internal/observe"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/state"
)

// maintain changes the database of a member or of all. What takes minutes is begun here and goes on in the background,
// where it holds up no other cluster; its end wakes the reconciler.
func (e *Executor) maintain(ctx context.Context, c *state.Cluster, step plan.Step) error {
	switch s := step.(type) {
	case plan.Defragment:
		return e.defragment(ctx, c, s)
	case plan.Compact:
		leader, err := e.leader(c)
		if err != nil {
			return err
		}
		revision := c.Etcd.History.Revision - s.Keep
		e.inBackground(ctx, c, observe.CompactionKey, step, func(ctx context.Context) error {
			return leader.Compact(ctx, revision)
		})
		return nil
	default:
		return fmt.Errorf("no executor for step %T", step)
	}
}

func (e *Executor) defragment(ctx context.Context, c *state.Cluster, s plan.Defragment) error {
	m := c.MemberByID(s.ID)
	if m == nil || m.Pod == nil || m.Pod.UID != s.PodUID {
		return fmt.Errorf("member %s: %w", s.Member, errChanged)
	}
	client, err := e.Etcd.Client(observe.Target(c.Object, *m.Pod))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", m.Name, err)
	}
	size := m.Probe.DBSize
	e.inBackground(ctx, c, string(s.PodUID), s, func(ctx context.Context) error { return client.Defragment(ctx, size) })
	return nil
}

// inBackground begins a call unless it goes on already, and tells in the log how it ended.
func (e *Executor) inBackground(
	ctx context.Context, c *state.Cluster, key string, step plan.Step, call func(context.Context) error,
) {
	logger := log.FromContext(ctx)
	e.Operations.Start(c.Object.Namespace+"/"+c.Object.Name, key, func(ctx context.Context) error {
		err := call(ctx)
		if err != nil {
			logger.Error(err, "Failed in the background", "step", step.String())
			return err
		}
		logger.Info("Finished in the background", "step", step.String())
		return nil
	})
}

// Forget drops what is held in memory for a cluster ("namespace/name") that is gone.
func (e *Executor) Forget(cluster string) {
	e.Operations.Forget(cluster)
	e.refusals.forget(cluster)
}
