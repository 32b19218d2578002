package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// clientOf returns a client of the server, of a pool that ends with the test.
func clientOf(t *testing.T, s *server) Client {
	t.Helper()
	pool := NewPool(PoolOptions{})
	t.Cleanup(pool.Close)
	return mustClient(t, pool, targetOf(s, "pod-a"))
}

func targetOf(s *server, uid string) Target {
	return Target{Cluster: "ns/demo", PodUID: uid, Address: s.address, ServerName: "demo-0.demo-peers.ns.svc"}
}

func mustClient(t *testing.T, p *Pool, target Target) Client {
	t.Helper()
	c, err := p.Client(target)
	if err != nil {
		t.Fatalf("client of %+v: %v", target, err)
	}
	return c
}

// calls are the methods of a Client, with the name under which the server sees them and the deadline they must have.
var calls = []struct {
	name    string
	request string
	timeout time.Duration
	do      func(context.Context, Client) error
}{
	{"Status", "Status", 2 * time.Second, func(ctx context.Context, c Client) error { _, err := c.Status(ctx); return err }},
	{"Members", "linearizable MemberList", 5 * time.Second,
		func(ctx context.Context, c Client) error { _, err := c.Members(ctx); return err }},
	{"Read", "linearizable Range", 5 * time.Second, func(ctx context.Context, c Client) error { return c.Read(ctx) }},
	{"Alarms", "Alarm", 5 * time.Second, func(ctx context.Context, c Client) error { _, err := c.Alarms(ctx); return err }},
	{"AddLearner", "MemberAdd learner", 10 * time.Second,
		func(ctx context.Context, c Client) error { _, err := c.AddLearner(ctx, "http://c:2380"); return err }},
	{"Promote", "MemberPromote", 10 * time.Second, func(ctx context.Context, c Client) error { return c.Promote(ctx, 1) }},
	{"Remove", "MemberRemove", 10 * time.Second, func(ctx context.Context, c Client) error { return c.Remove(ctx, 1) }},
	{"MoveLeader", "MoveLeader", 7 * time.Second, func(ctx context.Context, c Client) error { return c.MoveLeader(ctx, 1) }},
}

func TestEveryCallHasADeadlineOfItsOwn(t *testing.T) {
	s := startServer(t, &server{})
	c := clientOf(t, s)
	for _, call := range calls {
		t.Run(call.name, func(t *testing.T) {
			if err := call.do(context.Background(), c); err != nil {
				t.Fatalf("got error %v", err)
			}
			if _, _, left := s.seen(); left > call.timeout || left < call.timeout-time.Second {
				t.Errorf("the server was given %v, want %v", left, call.timeout)
			}
		})
	}
}

func TestACallerMayWaitForLessThanTheDeadlineOfACall(t *testing.T) {
	s := startServer(t, &server{})
	c := clientOf(t, s)
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if err := c.Remove(ctx, 1); err != nil {
		t.Fatalf("got error %v", err)
	}
	if _, _, left := s.seen(); left > 500*time.Millisecond {
		t.Errorf("the server was given %v, want the caller's 500ms", left)
	}
}

func TestAServerThatDoesNotAnswerCostsTheDeadlineAndNoMore(t *testing.T) {
	t.Parallel()
	c := clientOf(t, startServer(t, &server{block: true}))
	start := time.Now()
	_, err := c.Status(context.Background())
	if took := time.Since(start); took < statusTimeout-100*time.Millisecond || took > statusTimeout+time.Second {
		t.Errorf("Status took %v, want %v", took, statusTimeout)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want it to be %v", err, context.DeadlineExceeded)
	}
}

// A listener that accepts connections and says nothing is as good as an address at which nobody is.
func TestAMemberThatCannotBeConnectedToIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c := clientOf(t, &server{address: l.Addr().String()})
	asks := func(ctx context.Context) time.Duration {
		start := time.Now()
		if _, err := c.Status(ctx); err == nil {
			t.Error("got an answer")
		}
		return time.Since(start)
	}
	impatient, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	asks(impatient)
	if took := asks(t.Context()); took < statusTimeout-100*time.Millisecond {
		t.Errorf("the first question that nobody gave up took %v, want %v", took, statusTimeout)
	}
	if took := asks(t.Context()); took > time.Second {
		t.Errorf("the next took %v, want %v", took, absentTimeout)
	}
}

func TestADeadlineIsOneWhicheverSideMeetsItFirst(t *testing.T) {
	c := clientOf(t, startServer(t, &server{fail: rpctypes.ErrGRPCDeadlineExceeded}))
	if err := c.Remove(context.Background(), 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want it to be %v", err, context.DeadlineExceeded)
	}
}

func TestEveryCallIsSentOnceWhateverTheAnswer(t *testing.T) {
	for _, answer := range []error{
		rpctypes.ErrGRPCCanceled, // the two for which clientv3 repeats a call of any kind
		rpctypes.ErrGRPCDeadlineExceeded,
		rpctypes.ErrGRPCTimeout, // the rest, for which it repeats what it holds for idempotent, MoveLeader too
		rpctypes.ErrGRPCLeaderChanged,
		rpctypes.ErrGRPCUnhealthy,
		status.Error(codes.Unavailable, "there is no connection available"),
	} {
		for _, call := range calls {
			t.Run(fmt.Sprintf("%s answered with %q", call.name, rpctypes.ErrorDesc(answer)), func(t *testing.T) {
				s := startServer(t, &server{fail: answer})
				if err := call.do(context.Background(), clientOf(t, s)); err == nil {
					t.Error("got no error")
				}
				got, _, _ := s.seen()
				if diff := cmp.Diff([]string{call.request}, got); diff != "" {
					t.Errorf("requests that the server saw (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestAnswersOfEtcdAreGivenTheirMeaning(t *testing.T) {
	meanings := []error{ErrLater, ErrNotFound, ErrExists, ErrNotLearner, ErrTooManyLearners, ErrNotLeader}
	for _, test := range []struct {
		name   string
		call   string
		answer error
		want   error // nil when the outcome is unknown
	}{
		{"members are not connected for 5 s", "AddLearner", rpctypes.ErrGRPCUnhealthy, ErrLater},
		{"too few members are started, as 3.7 answers it", "Remove", rpctypes.ErrMemberNotEnoughStarted, ErrLater},
		{"too few members are started", "Remove", rpctypes.ErrGRPCMemberNotEnoughStarted, ErrLater},
		{"the learner is not in sync", "Promote", rpctypes.ErrGRPCLearnerNotReady, ErrLater},
		{"the member is gone", "Remove", rpctypes.ErrGRPCMemberNotFound, ErrNotFound},
		{"the new ID was removed before", "AddLearner", rpctypes.ErrGRPCMemberNotFound, ErrLater},
		{"the peer URL is taken", "AddLearner", rpctypes.ErrGRPCPeerURLExist, ErrExists},
		{"the ID is taken", "AddLearner", rpctypes.ErrGRPCMemberExist, ErrExists},
		{"the member votes already", "Promote", rpctypes.ErrGRPCMemberNotLearner, ErrNotLearner},
		{"there is a learner already", "AddLearner", rpctypes.ErrGRPCTooManyLearners, ErrTooManyLearners},
		{"another member leads", "MoveLeader", rpctypes.ErrGRPCNotLeader, ErrNotLeader},
		{"the leader changed", "Remove", rpctypes.ErrGRPCLeaderChanged, nil},
		{"the request timed out", "AddLearner", rpctypes.ErrGRPCTimeout, nil},
		{"the server stopped", "Promote", rpctypes.ErrGRPCStopped, nil},
		{"a learner is asked", "Members", rpctypes.ErrGRPCNotSupportedForLearner, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := clientOf(t, startServer(t, &server{fail: test.answer}))
			err := callNamed(t, test.call)(context.Background(), c)
			for _, meaning := range meanings {
				if got, want := errors.Is(err, meaning), errors.Is(test.want, meaning); got != want {
					t.Errorf("errors.Is(%q, %q) = %v, want %v", err, meaning, got, want)
				}
			}
			if cause := rpctypes.ErrorDesc(test.answer); err == nil || !strings.Contains(err.Error(), cause) {
				t.Errorf("got error %v, want its cause %q to be readable", err, cause)
			}
		})
	}
}

func callNamed(t *testing.T, name string) func(context.Context, Client) error {
	t.Helper()
	for _, call := range calls {
		if call.name == name {
			return call.do
		}
	}
	t.Fatalf("no call is named %q", name)
	return nil
}

func TestAReadThatIsDeniedProvesAQuorum(t *testing.T) {
	c := clientOf(t, startServer(t, &server{fail: rpctypes.ErrGRPCPermissionDenied}))
	if err := c.Read(context.Background()); err != nil {
		t.Errorf("got error %v, want none", err)
	}
}

func TestAnswersAreReadInFull(t *testing.T) {
	c := clientOf(t, startServer(t, &server{}))
	ctx := context.Background()

	gotStatus, err := c.Status(ctx)
	wantStatus := Status{
		ClusterID: 7, MemberID: 11, Version: "3.6.16", Leader: 12, Term: 3, Committed: 40, Applied: 39, Learner: true,
		DBSize: 2048, DBSizeInUse: 1024, Errors: []string{"etcdserver: no leader"}, StorageVersion: "3.6.0",
	}
	requireEqual(t, "Status", err, wantStatus, gotStatus)

	gotMembers, err := c.Members(ctx)
	wantMembers := MemberList{ClusterID: 7, Members: []Member{
		{ID: 11, Name: "demo-0", PeerURLs: []string{"http://a:2380"}, ClientURLs: []string{"http://a:2379"}},
		{ID: 12, PeerURLs: []string{"http://b:2380"}, Learner: true},
	}}
	requireEqual(t, "Members", err, wantMembers, gotMembers)

	gotAlarms, err := c.Alarms(ctx)
	requireEqual(t, "Alarms", err, []Alarm{{MemberID: 11, Type: AlarmNoSpace}, {Type: AlarmCorrupt}}, gotAlarms)

	gotID, err := c.AddLearner(ctx, "http://c:2380")
	requireEqual(t, "AddLearner", err, uint64(13), gotID)
}

func requireEqual(t *testing.T, what string, err error, want, got any) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: got error %v", what, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
