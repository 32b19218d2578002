package framework

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/resources"
)

// Members connects to the members of one cluster, each by the address of its own Pod, so that a test knows which
// member answered. It is safe for concurrent use.
type Members struct {
	env     *Environment
	cluster types.NamespacedName

	mu   sync.Mutex
	open map[place]connection
}

// place is where a member can be reached: a Pod gets another address when its node boots anew.
type place struct {
	pod     types.UID
	address string
}

type connection struct {
	*clientv3.Client
	close func()
}

// Members returns clients of the cluster's members; Close them.
func (e *Environment) Members(cluster types.NamespacedName) *Members {
	return &Members{env: e, cluster: cluster, open: map[place]connection{}}
}

// Pods are the member Pods, those that are ending included.
func (m *Members) Pods(ctx context.Context) ([]corev1.Pod, error) {
	var pods corev1.PodList
	err := m.env.Client.List(ctx, &pods, client.InNamespace(m.cluster.Namespace),
		client.MatchingLabels(resources.Selector(m.cluster.Name)))
	if err != nil {
		return nil, fmt.Errorf("list the member Pods: %w", err)
	}
	return pods.Items, nil
}

// Client is connected to the named member only.
func (m *Members) Client(ctx context.Context, member string) (*clientv3.Client, error) {
	pod := &corev1.Pod{}
	if err := m.env.Client.Get(ctx, client.ObjectKey{Namespace: m.cluster.Namespace, Name: member}, pod); err != nil {
		return nil, fmt.Errorf("find member %s: %w", member, err)
	}
	return m.ClientOf(ctx, pod)
}

// ClientOf is connected to the member that runs in the Pod.
func (m *Members) ClientOf(ctx context.Context, pod *corev1.Pod) (*clientv3.Client, error) {
	if pod.Status.PodIP == "" {
		return nil, fmt.Errorf("member %s has no address yet", pod.Name)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := place{pod.UID, pod.Status.PodIP}
	if c, found := m.open[at]; found {
		return c.Client, nil
	}
	address, stop, err := m.env.Reach(ctx, pod, resources.ClientPort)
	if err != nil {
		return nil, err
	}
	slot, _ := resources.ParseSlot(m.cluster.Name, pod.Name)
	config, err := m.env.ClientTLS(ctx, m.cluster, resources.PeerHost(m.cluster.Namespace, m.cluster.Name, slot))
	if err != nil {
		stop()
		return nil, err
	}
	// Without a scheme clientv3 speaks TLS exactly when it is configured.
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, TLS: config, Logger: zap.NewNop()})
	if err != nil {
		stop()
		return nil, fmt.Errorf("connect to member %s: %w", pod.Name, err)
	}
	m.open[at] = connection{Client: c, close: func() { _ = c.Close(); stop() }}
	return c, nil
}

// Close ends all connections.
func (m *Members) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for at, c := range m.open {
		c.close()
		delete(m.open, at)
	}
}

// Listed are the members as a linearizable list of etcd has them.
func (m *Members) Listed(ctx context.Context) (*clientv3.MemberListResponse, error) {
	pods, err := m.Pods(ctx)
	if err != nil {
		return nil, err
	}
	failure := errors.New("there is no member Pod")
	for _, p := range pods {
		list, err := m.listFrom(ctx, &p)
		if err == nil {
			return list, nil
		}
		failure = fmt.Errorf("list the members through %s: %w", p.Name, err)
	}
	return nil, failure
}

func (m *Members) listFrom(ctx context.Context, pod *corev1.Pod) (*clientv3.MemberListResponse, error) {
	c, err := m.ClientOf(ctx, pod)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return c.MemberList(ctx)
}

// Reach returns an address at which a port of the Pod can be dialled from here, and what to call when it is no longer
// needed: the Pod's own with the local provider, else one that kubectl forwards.
func (k *Kube) Reach(ctx context.Context, pod *corev1.Pod, port int) (string, func(), error) {
	if k.Provider == Local {
		return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port)), func() {}, nil
	}
	forward, stop := context.WithCancel(context.WithoutCancel(ctx))
	argv := k.Kubectl("-n", pod.Namespace, "port-forward", "pod/"+pod.Name, fmt.Sprintf(":%d", port))
	cmd := exec.CommandContext(forward, argv[0], argv[1:]...) //nolint:gosec // a command of this package
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("forward a port to Pod %s: %w", pod.Name, err)
	}
	end := func() { stop(); _ = cmd.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
	if err != nil || address == "" {
		end()
		return "", nil, fmt.Errorf("forward a port to Pod %s: kubectl said %q", pod.Name, line)
	}
	return address, end, nil
}
