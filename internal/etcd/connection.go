package etcd

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

const (
	// A ping while a call waits; etcd closes connections that are pinged more often than every 5 s, or without a call.
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 5 * time.Second
	// TCP probes find a dead node also while no call waits: after tcpIdle + tcpProbes x tcpInterval, 25 s.
	tcpIdle     = 10 * time.Second
	tcpInterval = 5 * time.Second
	tcpProbes   = 3
	// An unreachable member is dialled again after 0.2 s at first, then less often, and every 3 s in the end: its return
	// is noticed soon, and a refused connection costs next to nothing.
	backoffBase = 200 * time.Millisecond
	backoffMax  = 3 * time.Second
	// connectTimeout leaves room for two lost SYN packets (repeated after 1 s and 3 s).
	connectTimeout = 4 * time.Second
	// A server that accepts connections only to close them is not dialled more often than this.
	reconnectInterval = time.Second
)

// newEtcdClient returns a client with one endpoint. It does not touch the network.
func newEtcdClient(t Target, credentials *tls.Config) (*clientv3.Client, error) {
	scheme, options := "http://", []grpc.DialOption(nil)
	if credentials != nil {
		// gRPC verifies the certificate against the authority and overwrites the configuration's ServerName
		// (credentials/tls.go, ClientHandshake); clientv3 would make the dialled address the authority.
		scheme, options = "https://", append(options, grpc.WithAuthority(t.ServerName))
		credentials = credentials.Clone()
		credentials.ServerName = t.ServerName
	}
	dialer := &dialer{tcp: net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: tcpIdle, Interval: tcpInterval, Count: tcpProbes,
	}}}
	return clientv3.New(clientv3.Config{
		Endpoints:            []string{scheme + t.Address},
		TLS:                  credentials,
		DialKeepAliveTime:    keepaliveTime,
		DialKeepAliveTimeout: keepaliveTimeout,
		// The retry interceptor repeats any call, a membership change too, that a server answers with Canceled or
		// DeadlineExceeded before the caller's deadline (client/v3/retry_interceptor.go, unaryClientInterceptor). One
		// attempt means that every call is sent once; gRPC itself repeats only what no server has begun to process.
		MaxUnaryRetries: 1,
		Logger:          zap.NewNop(),
		DialOptions: append(options,
			// A dialer of our own also keeps HTTPS_PROXY away from Pod addresses.
			grpc.WithContextDialer(dialer.dial),
			grpc.WithChainUnaryInterceptor(tellWhyNotConnected),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: backoffBase, Multiplier: 1.6, Jitter: 0.2, MaxDelay: backoffMax},
				MinConnectTimeout: connectTimeout,
			}),
			// A connection that is not in use is kept: losing it is how a member's death is noticed at once.
			grpc.WithIdleTimeout(0),
		),
	})
}

// dialer holds back a connection that follows another one at once: gRPC's back-off knows only failed attempts.
type dialer struct {
	tcp net.Dialer

	mu        sync.Mutex
	connected time.Time
}

func (d *dialer) dial(ctx context.Context, address string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !wait(ctx, reconnectInterval-time.Since(d.connected)) {
		return nil, ctx.Err()
	}
	conn, err := d.tcp.DialContext(ctx, "tcp", address)
	if err == nil {
		d.connected = time.Now()
	}
	return conn, err
}

// tellWhyNotConnected keeps the reason (connection refused, an untrusted certificate) of a call that ended while it
// waited for a connection: clientv3 would reduce it to "context deadline exceeded".
func tellWhyNotConnected(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	err := invoke(ctx, method, request, reply, conn, options...)
	if status.Code(err) == codes.DeadlineExceeded && conn.GetState() != connectivity.Ready {
		return status.Error(codes.Unavailable, status.Convert(err).Message())
	}
	return err
}

// watch tells of every change between connected and not connected, and keeps the connection up, until ctx ends.
func watch(ctx context.Context, conn *grpc.ClientConn, changed func()) {
	conn.Connect()
	connected := false
	for state := conn.GetState(); ; state = conn.GetState() {
		if now := state == connectivity.Ready; now != connected {
			connected = now
			changed()
		}
		if state == connectivity.Idle {
			conn.Connect()
		}
		if !conn.WaitForStateChange(ctx, state) {
			return
		}
	}
}

// wait returns false when ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
