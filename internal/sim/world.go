package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/controllers"
	"github.com/quorate/quorate/internal/act"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/observe"
)

const (
	namespace   = "ns"
	clusterName = "demo"
)

// equal compares parts of objects as Kubernetes does: nil and empty are the same.
func equal(a, b any) bool { return equality.Semantic.DeepEqual(a, b) }

// crash is the panic by which an operator dies between two calls.
type crash struct{}

// world is everything: the API server, what runs around it, etcd, and the operators.
type world struct {
	now         time.Time
	pace        time.Duration // that passes with a tick
	store       *store
	kube        *kube
	etcd        *etcd.Model
	operators   []*operator
	partitioned map[string]bool // nodes cut off from all others
	verifier    *verifier
	// untrusted are the members whose certificates no other member accepts; cut are those and the ones on nodes that
	// are cut off.
	untrusted, cut map[types.UID]bool
	// hidden are the members that operators cannot reach, although all others can.
	hidden map[types.UID]bool
	// occupied are the members, by the UIDs of their Pods, that are being defragmented; operations go on in etcd.
	occupied   map[string]bool
	operations []*operation
	space      space
	losses     losses
	// outages are the times at which no operator ran, with what they leave to be mended after them.
	outages []outage
	// interrupted tells that something expired in an outage, and that somebody is still refused since then.
	interrupted bool
	// foreign are the certificates that somebody else put into Secrets of the cluster.
	foreign   map[string]bool
	user      *user
	rotations int
	damaged   string // the kind of objects with certificates that somebody damaged last
	// acknowledges tells that the user acknowledges in the end; else the grace has to pass.
	acknowledges bool
	tls          *v1alpha1.TLSSpec // of the cluster that the schedule creates
	firstVersion string            // of that cluster; empty for the default
	registry     *prometheus.Registry
	metrics      *controllers.Metrics
	tokens       int
	puts         int
	// writes of operators that changed something.
	writes int
	// faults are spent one for each call of an operator that they name.
	faults []fault
	// dataLost tells that the schedule itself destroyed a majority of the data: nothing can be asked for then.
	dataLost bool
	formed   uint64
	// discarded are the IDs of clusters whose data the user had deleted.
	discarded map[uint64]bool
	latches   map[types.UID]bootstrapped
	joined    int // number of nodes that joined
	failures  []string
	trace     []string
	seen      *coverage
}

// operator is one process of ours: what it holds in memory is lost in a crash.
type operator struct {
	cache      *cache
	reconciler *controllers.EtcdClusterReconciler
	// credentials hold the operator's certificates; pairs are those that it read, by their content.
	credentials *etcd.Credentials
	pairs       map[string]operatorPair
	// calls are how what it does in the background hands its long calls over.
	calls    chan *operation
	dieAfter bool
	busy     bool
	// own are the writes that the API server has confirmed; blind is an object that the cache showed as it was before
	// one of them when the operator began to reconcile.
	own   map[ref]written
	blind string
	// liveReads counts what is read from the API server itself.
	liveReads int
}

func newWorld(nodes int) *world {
	w := &world{
		now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), partitioned: map[string]bool{}, registry: prometheus.NewRegistry(),
		verifier: newVerifier(), untrusted: map[types.UID]bool{}, cut: map[types.UID]bool{},
		foreign: map[string]bool{"garbage": true}, seen: newCoverage(),
		hidden: map[types.UID]bool{}, discarded: map[uint64]bool{}, pace: tickLength,
		latches: map[types.UID]bootstrapped{}, occupied: map[string]bool{}, space: newSpace(), losses: newLosses(),
	}
	w.metrics = controllers.NewMetrics(w.registry)
	w.store = newStore(func() time.Time { return w.now })
	w.store.refuseSize = w.refuseSize
	w.etcd = etcd.NewModel(etcd.ModelOptions{Now: func() time.Time { return w.now }})
	w.etcd.Fault = w.etcdFault
	w.user = &user{world: w}
	w.kube = newKube(w, nodes)
	must(w.store.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
	w.operators = []*operator{nil, nil}
	w.restart(0)
	w.restart(1)
	return w
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// restart starts the operator process anew, with a fresh cache and an empty memory.
func (w *world) restart(i int) {
	op := &operator{
		cache: newCache(w.store), credentials: &etcd.Credentials{}, pairs: map[string]operatorPair{}, own: map[ref]written{},
	}
	c := operatorClient{world: w, op: op}
	clock := func() time.Time { return w.now }
	live := liveReader{w.store, op}
	dialer := &exclusive{dialer: w.etcd.Dialer(), world: w, op: op}
	observer := &observe.Observer{
		Etcd: dialer, Now: clock, DefaultVersion: "3.6.16", Nodes: true, Live: live,
		OperatorImage: operatorImage, Credentials: op.credentials, Handshake: w.served, ReadPeers: w.readPeers,
		Operations: &etcd.Operations{Now: clock, Go: w.background(op), Ended: func(string) {}},
	}
	expect := act.NewExpectations(op.cache.view, live, clock)
	op.reconciler = &controllers.EtcdClusterReconciler{
		Client: c, Etcd: dialer, Observer: observer, Expect: expect,
		Executor: &act.Executor{
			Client: c, Live: live, Etcd: dialer, Observer: observer, Expect: expect, NewToken: w.newToken,
			Operations: observer.Operations,
		},
		Events:  silent{},
		Metrics: w.metrics,
	}
	w.operators[i] = op
}

func (w *world) newToken() string {
	w.tokens++
	return fmt.Sprintf("token-%d", w.tokens)
}

// silent drops events.
type silent struct{}

func (silent) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}

// reconcile lets an operator reconcile once. A crash restarts it.
func (w *world) reconcile(i int) {
	op := w.operators[i]
	if op.busy {
		return
	}
	op.busy, op.blind = true, w.blindTo(op)
	defer func() {
		op.busy = false
		if r := recover(); r != nil {
			if _, died := r.(crash); !died {
				panic(r)
			}
			w.log("operator %d crashes", i)
			w.restart(i)
		}
	}()
	ctx := logr.NewContext(context.Background(), logr.New(journal{w}))
	_, err := op.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: objectKey(clusterName)})
	if err != nil {
		w.log("operator %d: %v", i, err)
	}
}

// countSteps counts which steps the operators did.
func (w *world) countSteps() {
	families, err := w.registry.Gather()
	must(err)
	for _, f := range families {
		if f.GetName() != "quorate_steps_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["result"] == "done" {
				w.seen.steps[labels["step"]] += int(m.GetCounter().GetValue())
			}
		}
	}
}

// tick lets time pass, a second unless the schedule goes faster.
func (w *world) tick() {
	w.now = w.now.Add(w.pace)
	w.noteSizes()
	w.kube.tick()
	w.user.tick()
	w.link()
	w.etcd.Tick()
	w.goOn()
	w.check()
}

func (w *world) log(format string, args ...any) {
	w.trace = append(w.trace, w.now.Format("01-02 15:04:05 ")+fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
	w.log("FAILURE: "+format, args...)
}

// cluster is the EtcdCluster; nil while it does not exist.
func (w *world) cluster() *v1alpha1.EtcdCluster {
	c, _ := get[*v1alpha1.EtcdCluster](w.store, namespace, clusterName)
	return c
}
