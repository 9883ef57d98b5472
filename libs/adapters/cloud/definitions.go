package cloud

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"golang.org/x/sync/errgroup"

	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/snapshot"
)

// definitions is a cache of task definitions that other processes share. It may forget and
// may fail; then ECS is asked.
type definitions interface {
	// Definitions returns those it has, by ARN.
	Definitions(ctx context.Context, arns []string) map[string]snapshot.TaskDefinition
	// KeepDefinitions takes in those that ECS was asked for, by ARN.
	KeepDefinitions(ctx context.Context, found map[string]snapshot.TaskDefinition)
}

// mostDefinitions bounds what one process remembers: 20,000 of some KiB each are less than
// a hundred MiB. A cluster of 5,000 services uses about twice as many revisions.
const mostDefinitions = 20_000

// definitionStore remembers task definitions, which never change, for the life of the
// process. It is safe for concurrent use.
type definitionStore struct {
	mu    sync.Mutex
	byARN map[string]snapshot.TaskDefinition
}

func (s *definitionStore) get(arn string) (snapshot.TaskDefinition, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.byARN[arn]
	return d, ok
}

func (s *definitionStore) keep(found map[string]snapshot.TaskDefinition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byARN == nil || len(s.byARN)+len(found) > mostDefinitions {
		s.byARN = make(map[string]snapshot.TaskDefinition, len(found))
	}
	maps.Copy(s.byARN, found)
}

// definitionReader reads task definitions: its own store first, then the shared cache, then
// ECS, which describes one at a time.
type definitionReader struct {
	ecs    serviceReads
	own    *definitionStore
	shared definitions
}

// read returns the definitions in order of their ARNs: those it could, and the first error.
func (r *definitionReader) read(ctx context.Context, arns []string) ([]snapshot.TaskDefinition, error) {
	known := make(map[string]snapshot.TaskDefinition, len(arns))
	unknown := r.lookUp(ctx, arns, known)
	found, err := r.describe(ctx, unknown)
	r.own.keep(found)
	if r.shared != nil && len(found) > 0 {
		r.shared.KeepDefinitions(ctx, found)
	}
	maps.Copy(known, found)
	out := make([]snapshot.TaskDefinition, 0, len(known))
	for _, arn := range slices.Sorted(maps.Keys(known)) {
		out = append(out, known[arn])
	}
	return out, err
}

// lookUp moves what is remembered into known and returns the others, each once.
func (r *definitionReader) lookUp(ctx context.Context, arns []string, known map[string]snapshot.TaskDefinition) (unknown []string) {
	for _, arn := range arns {
		if d, ok := r.own.get(arn); ok {
			known[arn] = d
		} else if arn != "" {
			unknown = append(unknown, arn)
		}
	}
	slices.Sort(unknown)
	unknown = slices.Compact(unknown)
	if r.shared == nil || len(unknown) == 0 {
		return unknown
	}
	cached := r.shared.Definitions(ctx, unknown)
	r.own.keep(cached)
	maps.Copy(known, cached)
	return slices.DeleteFunc(unknown, func(arn string) bool { _, ok := cached[arn]; return ok })
}

func (r *definitionReader) describe(ctx context.Context, arns []string) (map[string]snapshot.TaskDefinition, error) {
	found := make(map[string]snapshot.TaskDefinition, len(arns))
	var mu sync.Mutex
	var first error
	var g errgroup.Group
	g.SetLimit(together)
	for _, arn := range arns {
		g.Go(func() error {
			out, err := call(ctx, r.ecs.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{
				TaskDefinition: aws.String(arn), Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags},
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil || out.TaskDefinition == nil {
				if first == nil {
					first = fmt.Errorf("describe task definition %s: %w", arn, err)
				}
				return nil
			}
			d := taskDefinition(out.TaskDefinition, out.Tags)
			d.ARN = arn
			found[arn] = d
			return nil
		})
	}
	_ = g.Wait() // one that cannot be read must not stop the others
	return found, first
}

// Definition finds out which revision a task definition names, by family, family:revision
// or ARN, and reads it. It fails with fleet.ErrNotFound if there is none.
func (r *Reader) Definition(ctx context.Context, name string) (snapshot.TaskDefinition, error) {
	if d, ok := r.definitions.own.get(name); ok {
		return d, nil
	}
	out, err := call(ctx, r.ecs.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: aws.String(name), Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags},
	})
	if hasCode(err, "ClientException") { // how ECS says that there is none
		err = as(fleet.ErrNotFound, err)
	}
	if err == nil && out.TaskDefinition == nil {
		err = fmt.Errorf("%w: the answer is empty", fleet.ErrUnknown)
	}
	if err != nil {
		return snapshot.TaskDefinition{}, fmt.Errorf("describe task definition %s: %w", name, err)
	}
	d := taskDefinition(out.TaskDefinition, out.Tags)
	r.definitions.own.keep(map[string]snapshot.TaskDefinition{d.ARN: d})
	return d, nil
}

// Definitions reads task definitions by their ARNs, in that order: those it could, and the
// first error.
func (r *Reader) Definitions(ctx context.Context, arns []string) ([]snapshot.TaskDefinition, error) {
	return r.definitions.read(ctx, arns)
}
