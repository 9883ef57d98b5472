package sim

import (
	"fmt"
	"testing"
	"time"
)

func asgProvider(group string, status string) *AutoScalingGroupProvider {
	return &AutoScalingGroupProvider{AutoScalingGroupArn: group, ManagedScaling: &ManagedScaling{Status: status}}
}

// TestCapacityProviderLife makes, changes, associates and deletes a capacity provider, with
// the defaults and errors of the API reference.
func TestCapacityProviderLife(t *testing.T) {
	w := run(t, Config{}, `
cluster web
cluster other
task job cpu 16 memory 16
group a type m7i.large
group b type m7i.large protected
`, time.Second)
	arn := w.groupNamed("a").arn
	p := must(w.CreateCapacityProvider(&CreateCapacityProviderInput{
		Name: "a", AutoScalingGroupProvider: asgProvider(arn, "ENABLED"), Tags: []Tag{{"team", "x"}},
	}))(t).CapacityProvider
	scaling := p.AutoScalingGroupProvider.ManagedScaling
	if p.Status != "ACTIVE" || p.AutoScalingGroupProvider.AutoScalingGroupArn != arn || p.AutoScalingGroupProvider.ManagedDraining != "ENABLED" ||
		p.AutoScalingGroupProvider.ManagedTerminationProtection != "DISABLED" || scaling.TargetCapacity != 100 ||
		scaling.MinimumScalingStepSize != 1 || scaling.MaximumScalingStepSize != 10000 || *scaling.InstanceWarmupPeriod != 300 {
		t.Errorf("made %+v with %+v", p, scaling)
	}
	must(w.CreateCapacityProvider(&CreateCapacityProviderInput{Name: "a", AutoScalingGroupProvider: asgProvider("a", "ENABLED")}))(t) // the same again
	groups := must(w.DescribeAutoScalingGroups(&DescribeAutoScalingGroupsInput{Filters: Members[AutoScalingFilter]{[]AutoScalingFilter{{"tag-key", Members[string]{[]string{"AmazonECSManaged"}}}}}}))(t)
	if n := len(groups.AutoScalingGroups.Member); n != 1 {
		t.Errorf("%d groups have the tag AmazonECSManaged", n)
	}
	create := func(name string, p *AutoScalingGroupProvider) error {
		_, err := w.CreateCapacityProvider(&CreateCapacityProviderInput{Name: name, AutoScalingGroupProvider: p})
		return err
	}
	failsWith(t, "another with the name", create("a", asgProvider("a", "DISABLED")), codeClient)
	failsWith(t, "another with the group", create("x", asgProvider("a", "ENABLED")), codeClient)
	failsWith(t, "no group", create("x", asgProvider("none", "ENABLED")), codeClient)
	failsWith(t, "reserved name", create("fargate-x", asgProvider("b", "ENABLED")), codeInvalid)
	failsWith(t, "bad name", create("a b", asgProvider("b", "ENABLED")), codeInvalid)
	bad := asgProvider("b", "ENABLED")
	bad.ManagedScaling.TargetCapacity = 101
	failsWith(t, "target", create("b", bad), codeInvalid)
	bad = asgProvider("b", "ENABLED")
	bad.ManagedScaling.MinimumScalingStepSize, bad.ManagedScaling.MaximumScalingStepSize = 5, 4
	failsWith(t, "steps", create("b", bad), codeInvalid)
	bad = asgProvider("b", "DISABLED")
	bad.ManagedTerminationProtection = "ENABLED"
	failsWith(t, "protection without scaling", create("b", bad), codeInvalid)

	update := func(to *AutoScalingGroupProvider) error {
		_, err := w.UpdateCapacityProvider(&UpdateCapacityProviderInput{Name: "a", AutoScalingGroupProvider: to})
		return err
	}
	failsWith(t, "protection without the group's", update(&AutoScalingGroupProvider{ManagedTerminationProtection: "ENABLED"}), codeInvalid)
	if err := update(&AutoScalingGroupProvider{ManagedScaling: &ManagedScaling{TargetCapacity: 80}}); err != nil {
		t.Fatal(err)
	}
	described := must(w.DescribeCapacityProviders(&DescribeCapacityProvidersInput{CapacityProviders: []string{"a", "none"}, Include: []string{"TAGS"}}))(t)
	if d := described.CapacityProviders[0]; d.AutoScalingGroupProvider.ManagedScaling.TargetCapacity != 80 || d.AutoScalingGroupProvider.ManagedScaling.Status != "ENABLED" || fmt.Sprint(d.Tags) != "[{team x}]" {
		t.Errorf("described as %+v", d)
	}
	if f := described.Failures; len(f) != 1 || f[0].Reason != "MISSING" {
		t.Errorf("failures %v", f)
	}

	put := func(cluster string, names ...string) error {
		_, err := w.PutClusterCapacityProviders(&PutClusterCapacityProvidersInput{Cluster: cluster, CapacityProviders: names})
		return err
	}
	if err := put("web", p.CapacityProviderArn); err != nil {
		t.Fatal(err)
	}
	failsWith(t, "a managed one in two clusters", put("other", "a"), codeInvalid)
	failsWith(t, "unknown", put("web", "none"), codeInvalid)
	must(w.RunTask(&RunTaskInput{Cluster: "web", TaskDefinition: "job", CapacityProviderStrategy: []CapacityProviderStrategyItem{{"a", 1, 0}}}))(t)
	failsWith(t, "taken away in use", put("web"), "ResourceInUseException")
	_, err := w.DeleteCapacityProvider(&DeleteCapacityProviderInput{CapacityProvider: "a"})
	failsWith(t, "deleted in use", err, codeClient)
	task := must(w.ListTasks(&ListTasksInput{Cluster: "web"}))(t).TaskArns[0]
	must(w.StopTask(&StopTaskInput{Cluster: "web", Task: task}))(t)
	if err := put("web"); err != nil {
		t.Fatal(err)
	}
	must(w.DeleteCapacityProvider(&DeleteCapacityProviderInput{CapacityProvider: p.CapacityProviderArn}))(t)
	if left := must(w.DescribeCapacityProviders(&DescribeCapacityProvidersInput{}))(t).CapacityProviders; len(left) != 0 {
		t.Errorf("left %v", left)
	}
	w.Advance(w.now.Add(10 * time.Minute)) // what ran for it ends quietly
}

// TestCapacityProviderPages: 10 a page.
func TestCapacityProviderPages(t *testing.T) {
	w := must(New(Config{}))(t)
	for i := range 23 {
		w.AddCapacityProvider(fmt.Sprintf("p%d", i))
	}
	in := &DescribeCapacityProvidersInput{}
	var seen []int
	for {
		out := must(w.DescribeCapacityProviders(in))(t)
		seen = append(seen, len(out.CapacityProviders))
		if in.NextToken = out.NextToken; in.NextToken == "" {
			break
		}
	}
	if fmt.Sprint(seen) != "[10 10 3]" {
		t.Errorf("pages of %v", seen)
	}
}
