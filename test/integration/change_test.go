package integration

import (
	"fmt"
	"strings"
	"testing"
)

// changeCase is an edit of a stored spec, and what the API server must say to it: nothing when it is accepted.
type changeCase struct {
	name   string
	from   string
	to     string
	wanted string
}

var someDigest = "sha256:" + strings.Repeat("0a", 32)

const (
	wantSameKind   = "a cluster cannot be moved between a volume and ephemeral storage"
	wantVersion    = "version cannot be removed while image.digest pins an image of it"
	wantSameMedium = "the medium of an ephemeral cluster cannot be changed"
)

func refusedChanges() []changeCase {
	return []changeCase{
		{"from the default volume to ephemeral storage", `{}`, `{storage: {ephemeral: {}}}`, wantSameKind},
		{"from a volume to ephemeral storage", `{storage: {size: 1Gi}}`, `{storage: {ephemeral: {}}}`, wantSameKind},
		{"from ephemeral storage to the default volume", `{storage: {ephemeral: {}}}`, `{}`, wantSameKind},
		{"from ephemeral storage to a volume", `{storage: {ephemeral: {}}}`, `{storage: {size: 8Gi}}`, wantSameKind},
		{"the version without the digest that goes with it",
			`{version: 3.6.16, image: {digest: "` + someDigest + `"}}`, `{image: {digest: "` + someDigest + `"}}`, wantVersion},
		{"from disk to memory",
			`{storage: {ephemeral: {medium: Disk}}}`, `{storage: {ephemeral: {medium: Memory}}}`, wantSameMedium},
		{"from the default medium to memory",
			`{storage: {ephemeral: {}}}`, `{storage: {ephemeral: {medium: Memory}}}`, wantSameMedium},
		{"from memory to disk",
			`{storage: {ephemeral: {medium: Memory}}}`, `{storage: {ephemeral: {medium: Disk}}}`, wantSameMedium},
		{"from memory to the default medium",
			`{storage: {ephemeral: {medium: Memory}}}`, `{storage: {ephemeral: {}}}`, wantSameMedium},
	}
}

func acceptedChanges() []changeCase {
	return []changeCase{
		{name: "the version with the digest",
			from: `{version: 3.6.16, image: {digest: "` + someDigest + `"}}`, to: `{}`},
		{name: "the same volume in another unit", from: `{storage: {size: 1Gi}}`, to: `{storage: {size: 1024Mi}}`},
		{name: "the same volume in bytes", from: `{storage: {size: 1Gi}}`, to: `{storage: {size: 1073741824}}`},
		{name: "the default volume by its name", from: `{}`, to: `{storage: {size: 8Gi}}`},
		{name: "the default volume without its name", from: `{storage: {size: 8Gi}}`, to: `{}`},
		{name: "a larger volume", from: `{storage: {size: 10Gi}}`, to: `{storage: {size: 20Gi}}`},
		// It takes back an expansion that cannot take place; nothing is shrunk.
		{name: "a smaller volume", from: `{storage: {size: 10Gi}}`, to: `{storage: {size: 9Gi}}`},
		{name: "back to the default volume from a larger one", from: `{storage: {size: 10Gi}}`, to: `{}`},
		{name: "automatic growth", from: `{}`, to: `{storage: {maxSize: 64Gi}}`},
		{name: "no automatic growth any more", from: `{storage: {maxSize: 64Gi}}`, to: `{}`},
		{name: "from a small volume to the default one", from: `{storage: {size: 1Gi}}`, to: `{}`},
		{name: "the default medium by its name",
			from: `{storage: {ephemeral: {}}}`, to: `{storage: {ephemeral: {medium: Disk}}}`},
		{name: "the size limit of ephemeral storage",
			from: `{storage: {ephemeral: {sizeLimit: 2Gi}}}`, to: `{storage: {ephemeral: {sizeLimit: 1Gi}}}`},
		// Refused later, in the reconcile: running members must go on, and a mistake can be taken back.
		{name: "another storage class",
			from: `{storage: {storageClassName: slow}}`, to: `{storage: {storageClassName: fast}}`},
		{name: "the reclaim policy", from: `{}`, to: `{storage: {reclaimPolicy: Delete}}`},
		{name: "more members", from: `{replicas: 1}`, to: `{replicas: 7}`},
		{name: "fewer members", from: `{replicas: 7}`, to: `{replicas: 1}`},
		{name: "the default number of members", from: `{replicas: 5}`, to: `{}`},
		{name: "another version", from: `{version: 3.6.14}`, to: `{version: 3.6.16}`},
		{name: "a version that was chosen until now", from: `{}`, to: `{version: 3.6.16}`},
		{name: "no version any more", from: `{version: 3.6.16}`, to: `{}`},
		{name: "etcd options", from: `{}`, to: `{etcd: {snapshotCount: 20000, quotaBackendBytes: 2Gi}}`},
		{name: "no etcd options any more", from: `{etcd: {quotaBackendBytes: 2Gi}}`, to: `{}`},
		{name: "paused", from: `{}`, to: `{paused: true}`},
	}
}

func TestRefusedChange(t *testing.T) {
	namespace := newNamespace(t)
	for i, c := range append(refusedChanges(), refusedTLSChanges()...) {
		t.Run(c.name, func(t *testing.T) {
			stored := createCluster(t, namespace, fmt.Sprintf("refused-%d", i), c.from)
			object := stored.DeepCopy()
			object.Object["spec"] = parseSpec(t, c.to)
			refused(t, server.Client.Update(t.Context(), object), c.wanted)
			unchanged(t, stored)
		})
	}
}

func TestAcceptedChange(t *testing.T) {
	namespace := newNamespace(t)
	for i, c := range append(acceptedChanges(), acceptedTLSChanges()...) {
		t.Run(c.name, func(t *testing.T) {
			object := createCluster(t, namespace, fmt.Sprintf("accepted-%d", i), c.from)
			object.Object["spec"] = parseSpec(t, c.to)
			if err := server.Client.Update(t.Context(), object); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}
