package framework

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/test/framework/audit"
)

// Requests are those of a user since a moment, as the API server's audit log has them: all changes, and of service
// accounts in the operator's namespace also what they read. It needs the local provider.
func (k *Kube) Requests(user string, since time.Time) ([]audit.Request, error) {
	if k.Provider != Local {
		return nil, fmt.Errorf("read the audit log: %w", ErrLocalOnly)
	}
	requests, err := audit.Requests(filepath.Join(k.Dir(), "audit.log"), user, since, time.Now())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the API server has no audit log (\"make kube-down kube-up\" starts it anew): %w", err)
	}
	return requests, err
}

// OperatorWrites are the writes of the operator since a moment; its Lease and the reviews by which it authorises those
// who read its metrics are left out. It needs the local provider.
func (k *Kube) OperatorWrites(since time.Time) ([]audit.Request, error) {
	requests, err := k.Requests(OperatorUser, since)
	return slices.DeleteFunc(requests, func(r audit.Request) bool {
		return !r.Change() || r.Lease() || r.Resource == "tokenreviews" || r.Resource == "subjectaccessreviews"
	}), err
}

// RightsOf are what is granted to a service account by name, by the roles that are bound to it now. What all service
// accounts may do, such as discovery, is not part of it.
func (e *Environment) RightsOf(ctx context.Context, user string) ([]audit.Right, error) {
	var everywhere rbacv1.ClusterRoleBindingList
	var somewhere rbacv1.RoleBindingList
	if err := errors.Join(e.Client.List(ctx, &everywhere), e.Client.List(ctx, &somewhere)); err != nil {
		return nil, fmt.Errorf("list who is bound to which role: %w", err)
	}
	bindings := somewhere.Items
	for _, b := range everywhere.Items {
		bindings = append(bindings, rbacv1.RoleBinding{ObjectMeta: b.ObjectMeta, RoleRef: b.RoleRef, Subjects: b.Subjects})
	}
	var rights []audit.Right
	for _, b := range bindings {
		if !slices.ContainsFunc(b.Subjects, func(s rbacv1.Subject) bool { return isUser(s, user) }) {
			continue
		}
		rules, err := e.rules(ctx, b)
		if err != nil {
			return nil, err
		}
		granted, err := audit.Rights(rules, b.Namespace)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", b.RoleRef.Kind, b.RoleRef.Name, err)
		}
		rights = append(rights, granted...)
	}
	return rights, nil
}

func isUser(s rbacv1.Subject, user string) bool {
	name := strings.Join([]string{"system:serviceaccount", s.Namespace, s.Name}, ":")
	return s.Kind == rbacv1.ServiceAccountKind && name == user
}

// rules are those of the role that is bound.
func (e *Environment) rules(ctx context.Context, b rbacv1.RoleBinding) ([]rbacv1.PolicyRule, error) {
	if b.RoleRef.Kind == "ClusterRole" {
		var role rbacv1.ClusterRole
		if err := e.Client.Get(ctx, client.ObjectKey{Name: b.RoleRef.Name}, &role); err != nil {
			return nil, fmt.Errorf("read ClusterRole %s: %w", b.RoleRef.Name, err)
		}
		return role.Rules, nil
	}
	var role rbacv1.Role
	if err := e.Client.Get(ctx, client.ObjectKey{Namespace: b.Namespace, Name: b.RoleRef.Name}, &role); err != nil {
		return nil, fmt.Errorf("read Role %s: %w", b.RoleRef.Name, err)
	}
	return role.Rules, nil
}
