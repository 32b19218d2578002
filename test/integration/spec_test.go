package integration

import (
	"fmt"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// specCase is a spec, and what the API server must say to it: nothing when it is accepted.
type specCase struct {
	name   string
	spec   string
	wanted string
}

func TestAcceptedOnCreate(t *testing.T) {
	namespace := newNamespace(t)
	for i, c := range acceptedSpecs() {
		t.Run(c.name, func(t *testing.T) {
			object := etcdCluster(t, namespace, fmt.Sprintf("accepted-%d", i), c.spec)
			if err := server.Client.Create(t.Context(), object); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

func TestRefusedOnCreate(t *testing.T) {
	namespace := newNamespace(t)
	for i, c := range refusedSpecs() {
		t.Run(c.name, func(t *testing.T) {
			object := etcdCluster(t, namespace, fmt.Sprintf("refused-%d", i), c.spec)
			refused(t, server.Client.Create(t.Context(), object), c.wanted)
			absent(t, object)
		})
	}
}

func TestRefusedOnUpdate(t *testing.T) {
	stored := createCluster(t, newNamespace(t), "demo", `{replicas: 3}`)
	for _, c := range refusedSpecs() {
		t.Run(c.name, func(t *testing.T) {
			object := stored.DeepCopy()
			object.Object["spec"] = parseSpec(t, c.spec)
			refused(t, server.Client.Update(t.Context(), object), c.wanted)
			unchanged(t, stored)
		})
	}
}

func TestRefusedOnMergePatch(t *testing.T) {
	stored := createCluster(t, newNamespace(t), "demo", `{replicas: 3}`)
	for _, c := range refusedSpecs() {
		t.Run(c.name, func(t *testing.T) {
			object := stored.DeepCopy()
			object.Object["spec"] = parseSpec(t, c.spec)
			refused(t, server.Client.Patch(t.Context(), object, client.MergeFrom(stored)), c.wanted)
			unchanged(t, stored)
		})
	}
}
