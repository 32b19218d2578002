package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/test/framework"
)

// What is measured in the life of a cluster, in seconds.
const (
	createVoters  = "create: three started voters"
	createService = "create: client Service usable"
	createReady   = "create: Ready=True"
	createPods    = "create: all Pods ready"
	killRevived   = "killed follower back and in sync"
	scaleUp       = "scale 3 -> 5"
	scaleDown     = "scale 5 -> 3, Pods gone"
	restartDone   = "rolling restart of three"
	upgradeDone   = "upgrade of three in place"
	repairDecided = "repair: node gone to decision"
	repairDone    = "repair: decision to new voter"
)

// timed are all names, in the order in which they are told.
func timed() []string {
	return []string{
		createVoters, createPods, createService, createReady, killRevived, scaleUp, scaleDown,
		restartDone, upgradeDone, repairDecided, repairDone,
	}
}

// life is what was measured with one cluster: seconds by name, but for counts of writing.
type life struct {
	times, milestones, writing, repair map[string]float64
}

// stage is where a life takes place: a namespace of its own, what runs the cluster in it, and who observes it.
type stage struct {
	env      *framework.Environment
	options  options
	subject  subject
	observer *observer
	journal  *journal
	// hand tells that a person runs the cluster.
	hand bool
	// service waits to read through the client Service; nil for a subject that makes none.
	service *serviceWatch
}

// live measures a cluster from its creation to its end, by hand or by the operator.
func live(ctx context.Context, e *framework.Environment, o options, hand bool) (l life, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer func() { err = errors.Join(err, removeNamespaces(ctx, e)) }()
	namespace := newNamespaceName()
	if err := createNamespace(ctx, e, namespace); err != nil {
		return life{}, err
	}
	s, err := prepare(ctx, e, o, namespace, hand)
	if err != nil {
		return life{}, err
	}
	defer s.observer.close()
	l = life{times: map[string]float64{}, writing: map[string]float64{}, repair: map[string]float64{}}
	if err := s.play(ctx, &l); err != nil {
		return life{}, fmt.Errorf("%w\n\n%s", err, diagnosis(ctx, e, namespace))
	}
	return l, nil
}

func diagnosis(ctx context.Context, e *framework.Environment, namespace string) string {
	if ctx.Err() != nil {
		return ""
	}
	return e.Diagnose(ctx, namespace)
}

func prepare(
	ctx context.Context, e *framework.Environment, o options, namespace string, hand bool,
) (*stage, error) {
	objects, err := cache.New(e.Config, cache.Options{
		Scheme: e.Client.Scheme(), DefaultNamespaces: map[string]cache.Config{namespace: {}},
	})
	if err != nil {
		return nil, fmt.Errorf("watch namespace %s: %w", namespace, err)
	}
	s := &stage{env: e, options: o, hand: hand}
	if s.journal, err = watchMilestones(ctx, objects, 3); err != nil {
		return nil, err
	}
	if hand {
		m, err := o.manifest(namespace, clusterName, time.Now())
		if err != nil {
			return nil, err
		}
		s.observer = newObserver(objects, namespace, m.Certificates.credentials)
		s.subject = &byHand{client: e.Client, observer: s.observer, manifest: m}
		return s, nil
	}
	s.observer = newObserver(objects, namespace, o.credentials(objects, namespace))
	s.subject = operated{client: e.Client, options: o, namespace: namespace, journal: s.journal}
	address := fmt.Sprintf("%s.%s.svc:%d", resources.ClientServiceName(clusterName), namespace, resources.ClientPort)
	nodes, err := nodeNames(ctx, e)
	if err == nil {
		s.service, err = watchService(ctx, e.Kube, nodes[0], address)
	}
	return s, err
}

func (s *stage) play(ctx context.Context, l *life) error {
	if err := s.create(ctx, l); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		do   func(context.Context, *life) error
	}{
		{partKill, s.kill}, {partScale, s.grow}, {partScale, s.shrink}, {partRestart, s.restart}, {partUpgrade, s.upgrade},
		{partRepair, s.repair},
	} {
		if !s.options.wants(part.name) {
			continue
		}
		if err := s.settle(ctx); err != nil {
			return err
		}
		if err := part.do(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) grow(ctx context.Context, l *life) error {
	return s.stopwatch(ctx, l, scaleUp, s.subject.grow, wanted{what: "five started voters", pods: anyPod, etcd: voters(5)})
}

func (s *stage) shrink(ctx context.Context, l *life) error {
	return s.stopwatch(ctx, l, scaleDown, s.subject.shrink,
		wanted{what: "three started voters and three Pods", pods: exactly(3), etcd: voters(3)})
}

// create measures the way to three started voters, and what becomes usable after that.
func (s *stage) create(ctx context.Context, l *life) error {
	usable := make(chan serviceAnswer, 1)
	if s.service != nil {
		go func() { usable <- s.awaitService(ctx) }()
	}
	start := time.Now()
	if err := s.subject.create(ctx); err != nil {
		return err
	}
	at, err := s.observer.await(ctx, wanted{what: createVoters, pods: anyPod, etcd: voters(3)})
	if err != nil {
		return err
	}
	l.times[createVoters] = at.Sub(start).Seconds()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if at, err = s.journal.await(ctx, milestonePodsReady); err != nil {
		return err
	}
	l.times[createPods] = at.Sub(start).Seconds()
	if s.service != nil {
		answer := <-usable
		if answer.err != nil {
			return answer.err
		}
		l.times[createService] = answer.at.Sub(start).Seconds()
		if at, err = s.journal.await(ctx, milestoneReady); err != nil {
			return err
		}
		l.times[createReady] = at.Sub(start).Seconds()
	}
	l.milestones = s.journal.since(start)
	return nil
}

type serviceAnswer struct {
	at  time.Time
	err error
}

// awaitService lets the probe begin when Kubernetes has an endpoint for the Service.
func (s *stage) awaitService(ctx context.Context) serviceAnswer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := s.journal.await(ctx, milestoneClients); err != nil {
		return serviceAnswer{err: err}
	}
	show, err := s.observer.credentials(ctx)
	if err != nil {
		return serviceAnswer{err: err}
	}
	at, err := s.service.usable(show)
	return serviceAnswer{at: at, err: err}
}

// stopwatch measures from the beginning of do until what it is to bring about is observed.
func (s *stage) stopwatch(
	ctx context.Context, l *life, name string, do func(context.Context) error, w wanted,
) error {
	start := time.Now()
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	at, err := s.observer.await(ctx, w)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	l.times[name] = at.Sub(start).Seconds()
	return nil
}

// connectedFor is for how long etcd wants all members connected before it changes the membership (5 s: etcd
// server/etcdserver, HealthInterval), and a little more. It would else be part of the first change that is measured.
const connectedFor = 5500 * time.Millisecond

// settle waits until all Pods are ready and have been for a while, on either side.
func (s *stage) settle(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := framework.Eventually(waiting, func(ctx context.Context) string {
		pods, err := s.observer.list(ctx)
		if err != nil {
			return err.Error()
		}
		for i := range pods {
			if !ready(&pods[i]) || pods[i].DeletionTimestamp != nil {
				return "Pod " + pods[i].Name + " is not ready"
			}
		}
		return s.operatorBusy(ctx)
	})
	if err != nil {
		return fmt.Errorf("before the next measurement: %w", err)
	}
	pause(ctx, connectedFor)
	return ctx.Err()
}

// operatorBusy says what the operator still does; empty when nothing, or when there is none.
func (s *stage) operatorBusy(ctx context.Context) string {
	p, err := s.journal.picture(ctx)
	if err != nil {
		return err.Error()
	}
	if p.cluster == nil {
		return ""
	}
	return framework.Ready(p.cluster)
}
