package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/resources"
)

const (
	// tick is the time between two looks, and so the resolution of every time that is measured.
	tick = 20 * time.Millisecond
	// patience bounds every wait for one thing to happen.
	patience = 3 * time.Minute
	// callTimeout bounds a call to a member that does not answer, before it is asked anew.
	callTimeout = 2 * time.Second
)

// observer asks the members of the one cluster of a namespace, each at its Pod's address. All Pods of the namespace
// are members.
type observer struct {
	pods        client.Reader // a cache: it is read in every tick
	namespace   string
	credentials credentialSource

	mu    sync.Mutex
	conns map[types.UID]connection
}

// connection is to one member. Its maintenance calls use the one connection: clientv3's own dial for every Status.
type connection struct {
	*clientv3.Client
	maintenance clientv3.Maintenance
}

func newObserver(pods client.Reader, namespace string, from credentialSource) *observer {
	return &observer{pods: pods, namespace: namespace, credentials: from, conns: map[types.UID]connection{}}
}

func (o *observer) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for uid, c := range o.conns {
		_ = c.Close() // always reports that its own context has ended
		delete(o.conns, uid)
	}
}

// dial is connected to the Pod's member as soon as that serves: with the usual back-off of a second, the time at which
// a member is seen would be that of the next attempt.
func (o *observer) dial(ctx context.Context, pod *corev1.Pod) (connection, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c, found := o.conns[pod.UID]; found {
		return c, nil
	}
	show, err := o.credentials(ctx)
	if err != nil {
		return connection{}, fmt.Errorf("connect to member %s: %w", pod.Name, err)
	}
	address := net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(resources.ClientPort))
	name := pod.Name + "." + resources.PeerServiceName(clusterName) + "." + pod.Namespace + ".svc"
	c, err := dialEtcd(address, show, name)
	if err != nil {
		return connection{}, fmt.Errorf("connect to member %s: %w", pod.Name, err)
	}
	conn := connection{c, clientv3.NewMaintenanceFromMaintenanceClient(
		clientv3.RetryMaintenanceClient(c, c.ActiveConnection()), c)}
	o.conns[pod.UID] = conn
	return conn, nil
}

// dialEtcd connects to an address whose server shows a certificate for serverName, or else for the address's host.
func dialEtcd(address string, show credentials, serverName string) (*clientv3.Client, error) {
	config := clientv3.Config{
		Logger: zap.NewNop(),
		// One attempt: whoever asks repeats it, and sees why.
		MaxUnaryRetries: 1,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: tick, Multiplier: 1, MaxDelay: tick},
			MinConnectTimeout: callTimeout,
		})},
	}
	if show.plain() {
		config.Endpoints = []string{"http://" + address}
		return clientv3.New(config)
	}
	var err error
	if config.TLS, err = show.config(); err != nil {
		return nil, err
	}
	if serverName != "" {
		// The server name of the TLS configuration does not matter to gRPC (credentials/tls.go, ClientHandshake).
		config.DialOptions = append(config.DialOptions, grpc.WithAuthority(serverName))
	}
	config.Endpoints = []string{"https://" + address}
	return clientv3.New(config)
}

// list are the Pods as the cache has them.
func (o *observer) list(ctx context.Context) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := o.pods.List(ctx, &pods, client.InNamespace(o.namespace)); err != nil {
		return nil, fmt.Errorf("list Pods: %w", err)
	}
	return pods.Items, nil
}

// wanted is what a wait is for.
type wanted struct {
	what string
	// pods chooses whom to ask; with a reason, nobody is asked yet.
	pods func([]corev1.Pod) (ask []corev1.Pod, missing string)
	// etcd is what one of them has to answer.
	etcd func(context.Context, connection) error
}

// answer of a member.
type answer struct {
	pod *corev1.Pod
	err error
	at  time.Time
}

// await returns when one of the Pods has answered as wanted. Each is asked again a tick after its last answer, and none
// has to wait for another one that does not answer.
func (o *observer) await(ctx context.Context, w wanted) (time.Time, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers, asked := make(chan answer), map[types.UID]bool{}
	last := errors.New("no Pod has an address")
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		pods, err := o.list(ctx)
		if err != nil {
			return time.Time{}, fmt.Errorf("wait for %s: %w", w.what, err)
		}
		ask, missing := w.pods(pods)
		if missing != "" {
			last = errors.New(missing)
		}
		for _, pod := range ask {
			if pod.Status.PodIP != "" && !asked[pod.UID] {
				asked[pod.UID] = true
				go o.answerTo(ctx, answers, &pod, w)
			}
		}
		select {
		case <-ticker.C:
		case a := <-answers:
			asked[a.pod.UID] = false
			if a.err == nil {
				return a.at, nil
			}
			if ctx.Err() == nil { // else the deadline cut it off
				last = fmt.Errorf("member %s: %w", a.pod.Name, a.err)
			}
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("after %s still no %s: %w (%w)",
				time.Since(start).Round(time.Second), w.what, last, ctx.Err())
		}
	}
}

// answerTo delivers the Pod's answer; one that is not as wanted a tick later.
func (o *observer) answerTo(ctx context.Context, answers chan<- answer, pod *corev1.Pod, w wanted) {
	a := answer{pod: pod, err: o.ask(ctx, pod, w.etcd), at: time.Now()}
	if a.err != nil {
		pause(ctx, tick)
	}
	select {
	case answers <- a:
	case <-ctx.Done():
	}
}

func (o *observer) ask(ctx context.Context, pod *corev1.Pod, etcd func(context.Context, connection) error) error {
	c, err := o.dial(ctx, pod)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return etcd(ctx, c)
}

// pause returns after d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// anyPod asks all Pods.
func anyPod(pods []corev1.Pod) ([]corev1.Pod, string) { return pods, "" }

// exactly waits until there are so many Pods, those that are ending included.
func exactly(count int) func([]corev1.Pod) ([]corev1.Pod, string) {
	return func(pods []corev1.Pod) ([]corev1.Pod, string) {
		if len(pods) != count {
			return nil, fmt.Sprintf("there are %d Pods, want %d", len(pods), count)
		}
		return pods, ""
	}
}

// only chooses the named Pod, unless it is the one with this UID.
func only(name string, but types.UID) func([]corev1.Pod) ([]corev1.Pod, string) {
	return func(pods []corev1.Pod) ([]corev1.Pod, string) {
		for _, pod := range pods {
			if pod.Name == name && pod.UID != but {
				return []corev1.Pod{pod}, ""
			}
		}
		return nil, "there is no Pod " + name + " yet"
	}
}

// voters is a linearizable list of so many voters, all started, and a linearizable read.
func voters(count int) func(context.Context, connection) error {
	return func(ctx context.Context, c connection) error {
		list, err := c.MemberList(ctx)
		if err != nil {
			return err
		}
		started := startedVoters(list.Members)
		if started != count || len(list.Members) != count {
			return fmt.Errorf("%d members are listed, %d of them started voters; want %d", len(list.Members), started, count)
		}
		_, err = c.Get(ctx, "/bench")
		return err
	}
}

func startedVoters(list []*etcdserverpb.Member) int {
	started := 0
	for _, m := range list {
		if !m.IsLearner && len(m.ClientURLs) > 0 {
			started++
		}
	}
	return started
}
