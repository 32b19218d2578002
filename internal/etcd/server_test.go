package etcd

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// server is a gRPC server that speaks the parts of etcd's API that a Client uses.
type server struct {
	pb.UnimplementedMaintenanceServer
	pb.UnimplementedClusterServer
	pb.UnimplementedKVServer

	address string
	options []grpc.ServerOption
	// fail is what every call is answered with, when it is set. block makes every call wait for its deadline.
	fail  error
	block bool

	mu       sync.Mutex
	grpc     *grpc.Server
	calls    []string
	accepted int
	left     time.Duration // until the deadline of the last call, when it arrived
}

func startServer(t *testing.T, s *server) *server {
	t.Helper()
	s.address = "127.0.0.1:0"
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

// start listens, after stop on the same address as before.
func (s *server) start(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		t.Fatalf("listening on %s: %v", s.address, err)
	}
	s.address = listener.Addr().String()
	g := grpc.NewServer(s.options...)
	pb.RegisterMaintenanceServer(g, s)
	pb.RegisterClusterServer(g, s)
	pb.RegisterKVServer(g, s)
	s.grpc = g
	go func() { _ = g.Serve(&countingListener{Listener: listener, server: s}) }()
}

func (s *server) stop() { s.grpc.Stop() }

type countingListener struct {
	net.Listener
	server *server
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.server.mu.Lock()
		l.server.accepted++
		l.server.mu.Unlock()
	}
	return conn, err
}

func (s *server) seen() (calls []string, accepted int, left time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...), s.accepted, s.left
}

func (s *server) called(ctx context.Context, call string) error {
	deadline, _ := ctx.Deadline()
	s.mu.Lock()
	s.calls = append(s.calls, call)
	s.left = time.Until(deadline)
	s.mu.Unlock()
	if s.block {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.fail
}

func header() *pb.ResponseHeader { return &pb.ResponseHeader{ClusterId: 7, MemberId: 11} }

func (s *server) Status(ctx context.Context, _ *pb.StatusRequest) (*pb.StatusResponse, error) {
	return &pb.StatusResponse{
		Header: header(), Version: "3.6.16", Leader: 12, RaftTerm: 3, RaftIndex: 40, RaftAppliedIndex: 39, IsLearner: true,
		DbSize: 2048, DbSizeInUse: 1024, Errors: []string{"etcdserver: no leader"}, StorageVersion: "3.6.0",
	}, s.called(ctx, "Status")
}

func (s *server) Alarm(ctx context.Context, _ *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	return &pb.AlarmResponse{Header: header(), Alarms: []*pb.AlarmMember{
		{MemberID: 11, Alarm: pb.AlarmType_NOSPACE}, {Alarm: pb.AlarmType_CORRUPT},
	}}, s.called(ctx, "Alarm")
}

func (s *server) MoveLeader(ctx context.Context, _ *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	return &pb.MoveLeaderResponse{Header: header()}, s.called(ctx, "MoveLeader")
}

func (s *server) MemberList(ctx context.Context, r *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	call := "MemberList"
	if r.Linearizable {
		call = "linearizable MemberList"
	}
	return &pb.MemberListResponse{Header: header(), Members: []*pb.Member{
		{ID: 11, Name: "demo-0", PeerURLs: []string{"http://a:2380"}, ClientURLs: []string{"http://a:2379"}},
		{ID: 12, PeerURLs: []string{"http://b:2380"}, IsLearner: true},
	}}, s.called(ctx, call)
}

func (s *server) MemberAdd(ctx context.Context, r *pb.MemberAddRequest) (*pb.MemberAddResponse, error) {
	call := "MemberAdd voter"
	if r.IsLearner {
		call = "MemberAdd learner"
	}
	return &pb.MemberAddResponse{Header: header(), Member: &pb.Member{ID: 13}}, s.called(ctx, call)
}

func (s *server) MemberPromote(ctx context.Context, _ *pb.MemberPromoteRequest) (*pb.MemberPromoteResponse, error) {
	return &pb.MemberPromoteResponse{Header: header()}, s.called(ctx, "MemberPromote")
}

func (s *server) MemberRemove(ctx context.Context, _ *pb.MemberRemoveRequest) (*pb.MemberRemoveResponse, error) {
	return &pb.MemberRemoveResponse{Header: header()}, s.called(ctx, "MemberRemove")
}

func (s *server) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	call := "linearizable Range"
	if r.Serializable {
		call = "serializable Range"
	}
	return &pb.RangeResponse{Header: header()}, s.called(ctx, call)
}
