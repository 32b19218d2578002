package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// MethodDisarm is the method of Client that Model counts as a change.
const MethodDisarm Method = "Disarm"

// Disarm implements Client.
func (c *memberClient) Disarm(ctx context.Context, a Alarm) error {
	ctx, cancel := c.begin(ctx, membershipTimeout)
	defer cancel()
	kind, known := etcdserverpb.AlarmType_value[string(a.Type)]
	if !known || kind == int32(etcdserverpb.AlarmType_NONE) {
		// etcd would take it for a wish to disarm whatever is raised.
		return fmt.Errorf("disarm %q: no alarm of etcd", a.Type)
	}
	_, err := c.maintenance.AlarmDisarm(ctx, &clientv3.AlarmMember{
		MemberID: a.MemberID, Alarm: etcdserverpb.AlarmType(kind),
	})
	if err != nil {
		return c.failed(fmt.Sprintf("disarm %s of member %x", a.Type, a.MemberID), classify(err))
	}
	return nil
}

func (c modelClient) Disarm(ctx context.Context, a Alarm) error {
	return c.call(ctx, Call{Method: MethodDisarm, ID: a.MemberID}, func(p *process) error {
		if err := c.model.linearizable(p); err != nil {
			return err
		}
		cluster := p.disk.cluster
		c.model.alarms[cluster] = slices.DeleteFunc(slices.Clone(c.model.alarms[cluster]), func(raised Alarm) bool {
			return raised == a
		})
		return nil
	})
}

// errFutureRevision is how etcd refuses to hash up to a revision that it does not have.
var errFutureRevision = errors.New("etcdserver: mvcc: required revision is a future revision")
