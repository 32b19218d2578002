//go:build e2e

// Package e2e tests the operator, which runs in a Pod, on a real Kubernetes: what a user does and what goes wrong, with
// data read back every time. "make e2e" brings Kubernetes up, deploys the operator and runs it; "make e2e-full" also
// runs the long tests.
package e2e

import (
	"context"
	"flag"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/test/framework"
)

const (
	// parallel is how many tests run at a time: they wait most of the time, so more than there are cores.
	parallel = 4
	// limit is for one test.
	limit = 6 * time.Minute
)

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", strconv.Itoa(parallel)); err != nil {
			panic(err) // the flag is one of package testing
		}
	}
	start := time.Now()
	os.Exit(checkRights(start, m.Run()))
}

// environment is the Kubernetes that all tests share.
var environment = sync.OnceValues(func() (*framework.Environment, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	kube, err := framework.NewKube()
	if err != nil {
		return nil, err
	}
	e, err := kube.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return e, e.RequireOperator(ctx)
})

// world is what one test has to itself: a namespace that enforces the Pod Security level restricted.
type world struct {
	*framework.Environment
	t         *testing.T
	ctx       context.Context //nolint:containedctx // a test is one call, and this its deadline
	namespace string
}

// newWorld makes a namespace. It is removed after the test, at once and without waiting; a test that failed first tells
// all that explains why.
func newWorld(t *testing.T) *world {
	t.Helper()
	e, err := environment()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	w := &world{Environment: e, t: t, ctx: ctx, namespace: "e2e-" + strings.ToLower(uuid.NewString()[:8])}
	w.must(e.CreateNamespace(ctx, w.namespace))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if t.Failed() {
			t.Log(e.Diagnose(ctx, w.namespace))
		}
		if os.Getenv("QUORATE_E2E_KEEP") != "" {
			t.Logf("namespace %s is kept", w.namespace)
			return
		}
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
		if err := client.IgnoreNotFound(e.Client.Delete(ctx, ns)); err != nil {
			t.Errorf("remove namespace %s: %v", w.namespace, err)
		}
	})
	return w
}

// full skips a long test unless all are asked for.
func full(t *testing.T) {
	t.Helper()
	if os.Getenv("QUORATE_E2E") != "full" {
		t.Skip("a long test: \"make e2e-full\" runs it")
	}
}

// localOnly skips a test of faults that only the local Kubernetes can have.
func (w *world) localOnly() {
	w.t.Helper()
	if w.Provider != framework.Local {
		w.t.Skip("a fault that only the local Kubernetes can have")
	}
}

// must ends the test when there is an error.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// within bounds a part of the test.
func (w *world) within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(w.ctx, d)
}

// eventually waits until check returns an empty string; anything else says what is missing.
func (w *world) eventually(what string, d time.Duration, check func(context.Context) string) {
	w.t.Helper()
	ctx, cancel := w.within(d)
	defer cancel()
	if err := framework.Eventually(ctx, check); err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// kubectl runs kubectl in the namespace and returns what it printed.
func (w *world) kubectl(args ...string) string {
	w.t.Helper()
	out, err := w.tryKubectl(args...)
	w.must(err)
	return out
}

func (w *world) tryKubectl(args ...string) (string, error) {
	return w.Run(w.ctx, w.Kubectl(append([]string{"-n", w.namespace}, args...)...)...)
}
