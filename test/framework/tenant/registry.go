package tenant

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// Stored are the kinds of objects whose keys are compared, with the directory of their keys.
func Stored() map[schema.GroupVersionResource]string {
	core := func(resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Version: "v1", Resource: resource}
	}
	of := func(group, resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}
	}
	return map[schema.GroupVersionResource]string{
		core("namespaces"):                       "namespaces",
		core("nodes"):                            "minions",
		core("pods"):                             "pods",
		core("configmaps"):                       "configmaps",
		core("secrets"):                          "secrets",
		core("serviceaccounts"):                  "serviceaccounts",
		of("rbac.authorization.k8s.io", "roles"): "roles",
		of("rbac.authorization.k8s.io", "rolebindings"):        "rolebindings",
		of("rbac.authorization.k8s.io", "clusterroles"):        "clusterroles",
		of("rbac.authorization.k8s.io", "clusterrolebindings"): "clusterrolebindings",
		of("apps", "deployments"):                              "deployments",
		of("apps", "replicasets"):                              "replicasets",
	}
}

// Keys are the keys in etcd of all objects of the stored kinds that the API server lists, sorted.
func Keys(ctx context.Context, client dynamic.Interface) ([]string, error) {
	var keys []string
	for resource, directory := range Stored() {
		list, err := client.Resource(resource).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", resource.Resource, err)
		}
		for _, item := range list.Items {
			key := registry + directory + "/"
			if item.GetNamespace() != "" {
				key += item.GetNamespace() + "/"
			}
			keys = append(keys, key+item.GetName())
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// KeysIn are those of the stored kinds in what etcdctl get --prefix --keys-only has printed, sorted.
func KeysIn(output string) []string {
	var keys []string
	for line := range strings.Lines(output) {
		key := strings.TrimSpace(line)
		for _, directory := range Stored() {
			if strings.HasPrefix(key, registry+directory+"/") {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// WatchCacheStarts is how often the API server has filled each of its watch caches by a list: a further one ends all
// watches of that kind.
func WatchCacheStarts(ctx context.Context, client kubernetes.Interface) (map[string]int, error) {
	const metric = "apiserver_watch_cache_initializations_total"
	page, err := client.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the metrics of kube-apiserver: %w", err)
	}
	starts := map[string]int{}
	lines := bufio.NewScanner(strings.NewReader(string(page)))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		labels, value, found := strings.Cut(strings.TrimPrefix(lines.Text(), metric), "} ")
		if !strings.HasPrefix(lines.Text(), metric+"{") || !found {
			continue
		}
		if starts[labels+"}"], err = strconv.Atoi(value); err != nil {
			return nil, fmt.Errorf("read the metrics of kube-apiserver: %w", err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the metrics of kube-apiserver: %w", err)
	}
	if len(starts) == 0 {
		return nil, fmt.Errorf("kube-apiserver has no metric %s", metric)
	}
	return starts, nil
}
