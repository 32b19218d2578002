package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

const (
	// statusTimeout bounds a question that a healthy member answers from memory: a member that started without a quorum
	// accepts the connection and never answers.
	statusTimeout = 2 * time.Second
	// absentTimeout bounds the question to a member that could not be connected to during the last one, which waited for
	// statusTimeout: it is not waited for again in each observation, because its connection tells when it is back (watch).
	absentTimeout = 100 * time.Millisecond
	// readTimeout bounds a linearizable read: an election (1 s by default) may go on meanwhile, and a repetition.
	readTimeout = 5 * time.Second
	// membershipTimeout is longer than the 7 s after which a server gives up a proposal (5 s + two elections,
	// server/config ServerConfig.ReqTimeout), so that the server's own answer arrives.
	membershipTimeout = 10 * time.Second
	// redialTimeout is longer than it takes to begin dialling; dialling itself counts to the call.
	redialTimeout = 200 * time.Millisecond
	// moveLeaderTimeout is the server's own limit: two elections, and never more than ReqTimeout.
	moveLeaderTimeout = 7 * time.Second
)

// memberClient implements Client over one connection.
type memberClient struct {
	target      Target
	etcd        *clientv3.Client
	maintenance clientv3.Maintenance // over the one connection: clientv3's own dials for every Status
	status      etcdserverpb.MaintenanceClient
	http        *http.Client
	url         string
	cancel      context.CancelFunc
	watched     chan struct{} // closed when the watch has ended
	// absent tells that there was no connection at the end of the last Status.
	absent atomic.Bool
}

var _ Client = (*memberClient)(nil)

func newMemberClient(t Target, credentials *tls.Config, changed func()) (*memberClient, error) {
	client, err := newEtcdClient(t, credentials)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	conn := client.ActiveConnection()
	plain, url := httpClient(t, credentials)
	c := &memberClient{
		target:      t,
		etcd:        client,
		maintenance: clientv3.NewMaintenanceFromMaintenanceClient(clientv3.RetryMaintenanceClient(client, conn), client),
		status:      etcdserverpb.NewMaintenanceClient(conn),
		http:        plain,
		url:         url,
		cancel:      cancel,
		watched:     make(chan struct{}),
	}
	go func() {
		defer close(c.watched)
		watch(ctx, conn, changed)
	}()
	return c, nil
}

func (c *memberClient) close() {
	c.cancel()
	<-c.watched
	_ = c.etcd.Close() // always reports that its own context has ended
}

// begin bounds a call, and has a broken connection dialled at once instead of after the back-off: whoever asks now
// wants to know now.
func (c *memberClient) begin(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if conn := c.etcd.ActiveConnection(); conn.GetState() == connectivity.TransientFailure {
		conn.ResetConnectBackoff()
		dialling, cancel := context.WithTimeout(ctx, redialTimeout)
		conn.WaitForStateChange(dialling, connectivity.TransientFailure)
		cancel()
	}
	return context.WithTimeout(ctx, timeout)
}

func (c *memberClient) failed(call string, classified error) error {
	return fmt.Errorf("%s at %s: %w", call, c.target.Address, classified)
}

func (c *memberClient) connected() bool {
	return c.etcd.ActiveConnection().GetState() == connectivity.Ready
}

// patience is how long the answer to a Status is waited for.
func (c *memberClient) patience() time.Duration {
	if c.absent.Load() && !c.connected() {
		return absentTimeout
	}
	return statusTimeout
}

// Status implements Client.
func (c *memberClient) Status(ctx context.Context) (Status, error) {
	bounded, cancel := c.begin(ctx, c.patience())
	defer cancel()
	// A member whose process has ended refuses the connection: that is an answer, not to be waited out.
	r, err := c.status.Status(bounded, &etcdserverpb.StatusRequest{}, grpc.WaitForReady(false))
	if ctx.Err() == nil { // a question that the caller gave up tells nothing
		c.absent.Store(err != nil && !c.connected())
	}
	if err != nil {
		return Status{}, c.failed("status", classify(err))
	}
	return Status{
		ClusterID:      r.Header.GetClusterId(),
		MemberID:       r.Header.GetMemberId(),
		Version:        r.Version,
		Leader:         r.Leader,
		Term:           r.RaftTerm,
		Committed:      r.RaftIndex,
		Applied:        r.RaftAppliedIndex,
		Revision:       r.Header.GetRevision(),
		Learner:        r.IsLearner,
		DBSize:         r.DbSize,
		DBSizeInUse:    r.DbSizeInUse,
		DBSizeQuota:    r.DbSizeQuota,
		Errors:         r.Errors,
		StorageVersion: r.StorageVersion,

		DowngradeTarget: downgradeTarget(r),
	}, nil
}

// Members implements Client.
func (c *memberClient) Members(ctx context.Context) (MemberList, error) {
	ctx, cancel := c.begin(ctx, readTimeout)
	defer cancel()
	r, err := c.etcd.MemberList(ctx)
	if err != nil {
		return MemberList{}, c.failed("member list", classify(err))
	}
	return memberList(r.Header.GetClusterId(), r.Members), nil
}

// Read implements Client. The key need not exist, as in etcdctl endpoint health.
func (c *memberClient) Read(ctx context.Context) error {
	ctx, cancel := c.begin(ctx, readTimeout)
	defer cancel()
	_, err := c.etcd.Get(ctx, "health")
	// The permission is checked after the linearizable read has been confirmed.
	if err != nil && !errors.Is(err, rpctypes.ErrPermissionDenied) {
		return c.failed("linearizable read", classify(err))
	}
	return nil
}

// Alarms implements Client.
func (c *memberClient) Alarms(ctx context.Context) ([]Alarm, error) {
	ctx, cancel := c.begin(ctx, readTimeout)
	defer cancel()
	r, err := c.maintenance.AlarmList(ctx)
	if err != nil {
		return nil, c.failed("alarm list", classify(err))
	}
	alarms := make([]Alarm, 0, len(r.Alarms))
	for _, a := range r.Alarms {
		if a.Alarm != etcdserverpb.AlarmType_NONE {
			alarms = append(alarms, Alarm{MemberID: a.MemberID, Type: AlarmType(a.Alarm.String())})
		}
	}
	return alarms, nil
}

// AddLearner implements Client.
func (c *memberClient) AddLearner(ctx context.Context, peerURL string) (uint64, error) {
	ctx, cancel := c.begin(ctx, membershipTimeout)
	defer cancel()
	r, err := c.etcd.MemberAddAsLearner(ctx, []string{peerURL})
	if err != nil {
		return 0, c.failed("add learner "+peerURL, classifyAdd(err))
	}
	return r.Member.GetID(), nil
}

// Promote implements Client.
func (c *memberClient) Promote(ctx context.Context, id uint64) error {
	ctx, cancel := c.begin(ctx, membershipTimeout)
	defer cancel()
	if _, err := c.etcd.MemberPromote(ctx, id); err != nil {
		return c.failed(fmt.Sprintf("promote member %x", id), classify(err))
	}
	return nil
}

// Remove implements Client.
func (c *memberClient) Remove(ctx context.Context, id uint64) error {
	ctx, cancel := c.begin(ctx, membershipTimeout)
	defer cancel()
	if _, err := c.etcd.MemberRemove(ctx, id); err != nil {
		return c.failed(fmt.Sprintf("remove member %x", id), classify(err))
	}
	return nil
}

// MoveLeader implements Client.
func (c *memberClient) MoveLeader(ctx context.Context, to uint64) error {
	ctx, cancel := c.begin(ctx, moveLeaderTimeout)
	defer cancel()
	if _, err := c.maintenance.MoveLeader(ctx, to); err != nil {
		return c.failed(fmt.Sprintf("move leader to %x", to), classify(err))
	}
	return nil
}
