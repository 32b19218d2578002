package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/controllers"
	"github.com/quorate/quorate/internal/etcd"
)

// errLost is what a client sees when the request or the reply was lost.
var errLost = errors.New("connection to the API server lost")

// reader reads a view of the store: the store itself, or a cache.
type reader map[ref]client.Object

func (v reader) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	r := ref{kindOf(into), key.Namespace, key.Name}
	obj := v[r]
	if obj == nil {
		return apierrors.NewNotFound(r.resource(), r.name)
	}
	set(into, obj)
	return nil
}

func (v reader) List(_ context.Context, into client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	if o.LabelSelector == nil {
		o.LabelSelector = labels.Everything()
	}
	kind := kindOf(into)
	kind = kind[:len(kind)-len("List")]
	var items []runtime.Object
	for _, obj := range sorted(v, kind) {
		if (o.Namespace == "" || o.Namespace == obj.GetNamespace()) &&
			o.LabelSelector.Matches(labels.Set(obj.GetLabels())) {
			items = append(items, clone(obj))
		}
	}
	return meta.SetList(into, items)
}

// cache is an informer cache for each kind: it lags behind the store until it is advanced. It holds what the deployed
// operator's cache does.
type cache struct {
	store   *store
	options map[string]ctrlcache.ByObject
	view    reader
	seen    map[string]int
}

// newCache lists everything, as informers do at start.
func newCache(s *store) *cache {
	c := &cache{store: s, options: map[string]ctrlcache.ByObject{}, view: reader{}, seen: map[string]int{}}
	for obj, o := range controllers.CacheOptions(nil).ByObject {
		c.options[kindOf(obj)] = o
	}
	for r, obj := range s.objects {
		c.take(change{ref: r, obj: obj})
	}
	for kind, h := range s.history {
		c.seen[kind] = len(h)
	}
	return c
}

// advance takes up to n changes of the kind.
func (c *cache) advance(kind string, n int) {
	for h := c.store.history[kind]; n > 0 && c.seen[kind] < len(h); n-- {
		c.take(h[c.seen[kind]])
		c.seen[kind]++
	}
}

// take takes up one change, as far as the cache's selector and transform let it through.
func (c *cache) take(ch change) {
	o := c.options[ch.ref.kind]
	if ch.obj == nil || o.Label != nil && !o.Label.Matches(labels.Set(ch.obj.GetLabels())) {
		delete(c.view, ch.ref)
		return
	}
	c.view[ch.ref] = ch.obj
	if o.Transform != nil {
		slim, err := o.Transform(clone(ch.obj))
		must(err)
		c.view[ch.ref], _ = slim.(client.Object)
	}
}

func (c *cache) sync() { c.syncBut("") }

// syncBut leaves one kind as it is.
func (c *cache) syncBut(late string) {
	for kind, h := range c.store.history {
		if kind != late {
			c.advance(kind, len(h))
		}
	}
}

// operatorClient is the client of an operator: reads from its cache, writes to the store, through the faults.
type operatorClient struct {
	client.Client // what is not implemented panics: the operator must not use it
	world         *world
	op            *operator
}

func (c operatorClient) Get(
	ctx context.Context, key client.ObjectKey, into client.Object, o ...client.GetOption,
) error {
	return c.op.cache.view.Get(ctx, key, into, o...)
}

func (c operatorClient) List(ctx context.Context, into client.ObjectList, o ...client.ListOption) error {
	var asked client.ListOptions
	if asked.ApplyOptions(o); asked.Continue != "" {
		return errors.New("continue list option is not supported by the cache")
	}
	err := c.op.cache.view.List(ctx, into, o...)
	c.op.noteCredentials(into)
	into.SetContinue("continue-not-supported") // as controller-runtime's CacheReader does
	return err
}

// write does one write of the operator, or what the faults make of it.
func (c operatorClient) write(verb string, obj client.Object, do func() error) error {
	if pod, isPod := obj.(*corev1.Pod); isPod && verb == "create" {
		// What the operator could know when it sent the call; what another one does meanwhile is for raft to fence.
		c.world.checkStart(pod)
	}
	if c.op.blind != "" {
		c.world.fail("%s %s %s is sent by an operator whose cache does not show its own write of %s", verb, kindOf(obj),
			obj.GetName(), c.op.blind)
	}
	fault, refusal := c.world.faultAt(c.op, verb+" "+kindOf(obj)+" "+obj.GetName())
	switch {
	case refusal != "":
		return refuse(refusal, obj)
	case fault == etcd.DropRequest:
		return errLost
	}
	c.world.checkWrite(verb, obj)
	version := c.world.store.version
	err := do()
	if c.world.store.version != version {
		c.world.writes++
	}
	c.world.crashAfter(c.op)
	if fault == etcd.LoseReply {
		return errLost
	}
	if err == nil {
		c.op.remember(verb, obj)
	}
	return err
}

func (c operatorClient) Create(_ context.Context, obj client.Object, opts ...client.CreateOption) error {
	var o client.CreateOptions
	o.ApplyOptions(opts)
	if len(o.DryRun) > 0 {
		return c.tryCreate(obj)
	}
	return c.write("create", obj, func() error { return c.world.store.create(obj) })
}

// tryCreate is a dry run: a call like any other, but no write.
func (c operatorClient) tryCreate(obj client.Object) error {
	fault, refusal := c.world.faultAt(c.op, "try to create "+kindOf(obj)+" "+obj.GetName())
	switch {
	case refusal != "":
		return refuse(refusal, obj)
	case fault != etcd.OK:
		return errLost
	}
	err := c.world.store.tryCreate(obj)
	c.world.crashAfter(c.op)
	return err
}

func (c operatorClient) Update(_ context.Context, obj client.Object, _ ...client.UpdateOption) error {
	return c.write("update", obj, func() error { return c.world.store.update(obj, false) })
}

func (c operatorClient) Patch(_ context.Context, obj client.Object, patch client.Patch, _ ...client.PatchOption) error {
	data, err := patch.Data(obj)
	if err != nil {
		return fmt.Errorf("encode the patch: %w", err)
	}
	return c.write("patch", obj, func() error {
		return c.world.store.patch(obj, data, func(o client.Object) error { return c.world.store.update(o, false) })
	})
}

func (c operatorClient) Delete(_ context.Context, obj client.Object, opts ...client.DeleteOption) error {
	var o client.DeleteOptions
	o.ApplyOptions(opts)
	force := o.GracePeriodSeconds != nil && *o.GracePeriodSeconds == 0
	return c.write("delete", obj, func() error { return c.world.store.remove(refOf(obj), o.Preconditions, force) })
}

// Apply stands for server-side apply: spec, labels and annotations become what is applied.
func (c operatorClient) Apply(_ context.Context, config runtime.ApplyConfiguration, _ ...client.ApplyOption) error {
	data, err := json.Marshal(config)
	if err != nil {
		return fmt.Errorf("encode the apply configuration: %w", err)
	}
	var typed struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(data, &typed); err != nil {
		return fmt.Errorf("decode the kind: %w", err)
	}
	var obj client.Object = &corev1.Service{}
	switch typed.Kind {
	case "PodDisruptionBudget":
		obj = &policyv1.PodDisruptionBudget{}
	case "NetworkPolicy":
		obj = &networkingv1.NetworkPolicy{}
	}
	if err := json.Unmarshal(data, obj); err != nil {
		return fmt.Errorf("decode the apply configuration: %w", err)
	}
	err = c.write("apply", obj, func() error {
		if c.world.store.objects[refOf(obj)] == nil {
			return c.world.store.create(obj)
		}
		return c.world.store.update(obj, false)
	})
	if into, ok := config.(interface{ SetUnstructuredContent(map[string]any) }); ok && err == nil {
		content, err := encode(obj)
		if err != nil {
			return err
		}
		into.SetUnstructuredContent(content)
	}
	return err
}

// refusals are the answers by which an API server does nothing.
func refusals() []string {
	return []string{"forbidden", "too many requests", "internal error", "unavailable", "conflict"}
}

func refuse(how string, obj client.Object) error {
	r := refOf(obj)
	switch how {
	case "forbidden":
		return apierrors.NewForbidden(r.resource(), r.name, errors.New("exceeded quota"))
	case "too many requests":
		return apierrors.NewTooManyRequests("too many requests", 1)
	case "unavailable":
		return apierrors.NewServiceUnavailable("etcdserver: request timed out")
	case "conflict":
		return apierrors.NewConflict(r.resource(), r.name, errors.New("the object has been modified"))
	default:
		return apierrors.NewInternalError(errors.New("etcdserver: leader changed"))
	}
}

func (c operatorClient) Status() client.SubResourceWriter { return statusWriter{c: c} }

// SubResource is "resize" of a Pod.
func (c operatorClient) SubResource(name string) client.SubResourceClient {
	if name != "resize" {
		panic("subresource " + name)
	}
	return resizer{c: c}
}

type resizer struct {
	client.SubResourceClient
	c operatorClient
}

func (r resizer) Update(_ context.Context, obj client.Object, _ ...client.SubResourceUpdateOption) error {
	return r.c.write("resize", obj, func() error { return r.resize(obj) })
}

func (r resizer) Patch(
	_ context.Context, obj client.Object, patch client.Patch, _ ...client.SubResourcePatchOption,
) error {
	data, err := patch.Data(obj)
	if err != nil {
		return fmt.Errorf("encode the patch: %w", err)
	}
	return r.c.write("resize", obj, func() error { return r.c.world.store.patch(obj, data, r.resize) })
}

func (r resizer) resize(obj client.Object) error {
	pod, isPod := obj.(*corev1.Pod)
	if !isPod {
		return fmt.Errorf("resize of a %s", kindOf(obj))
	}
	return r.c.world.store.resize(pod)
}

type statusWriter struct {
	client.SubResourceWriter
	c operatorClient
}

func (w statusWriter) Update(_ context.Context, obj client.Object, _ ...client.SubResourceUpdateOption) error {
	return w.c.write("update status of", obj, func() error { return w.c.world.store.update(obj, true) })
}
