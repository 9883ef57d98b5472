package sim

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// statusDeleting is the status of a task definition that is deleted: it stays as long as a
// task or service uses it.
const statusDeleting = "DELETE_IN_PROGRESS"

// ListTaskDefinitions lists revisions by family and revision.
func (w *World) ListTaskDefinitions(in *ListTaskDefinitionsInput) (*ListTaskDefinitionsOutput, error) {
	list := "task-definitions/" + in.FamilyPrefix + "/" + in.Status + "/" + in.Sort
	after, limit, err := ecsPage(list, in.NextToken, in.MaxResults, 100, 100)
	if err != nil {
		return nil, err
	}
	status := cmp.Or(in.Status, statusActive)
	if !slices.Contains([]string{statusActive, statusInactive, statusDeleting}, status) {
		return nil, invalid("Invalid status %.40q: use ACTIVE, INACTIVE or DELETE_IN_PROGRESS", in.Status)
	}
	if !slices.Contains([]string{"", "ASC", "DESC"}, in.Sort) {
		return nil, invalid("Invalid sort %.40q: use ASC or DESC", in.Sort)
	}
	var arns []string
	for _, name := range slices.Sorted(maps.Keys(w.families)) {
		if in.FamilyPrefix != "" && in.FamilyPrefix != name {
			continue
		}
		for _, d := range w.families[name].revisions {
			if d.Status == status {
				arns = append(arns, d.TaskDefinitionArn)
			}
		}
	}
	if in.Sort == "DESC" {
		slices.Reverse(arns)
	}
	page, next := pageOf(arns, after, limit)
	return &ListTaskDefinitionsOutput{TaskDefinitionArns: orEmpty(page), NextToken: token(list, next)}, nil
}

// ListTaskDefinitionFamilies lists the names of families that begin with a prefix.
func (w *World) ListTaskDefinitionFamilies(in *ListTaskDefinitionFamiliesInput) (*ListTaskDefinitionFamiliesOutput, error) {
	list := "families/" + in.FamilyPrefix + "/" + in.Status
	after, limit, err := ecsPage(list, in.NextToken, in.MaxResults, 100, 100)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", statusActive, statusInactive, "ALL"}, in.Status) {
		return nil, invalid("Invalid status %.40q: use ACTIVE, INACTIVE or ALL", in.Status)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(w.families)) {
		active := slices.ContainsFunc(w.families[name].revisions, func(d *taskDefinition) bool { return d.Status == statusActive })
		wrong := in.Status == statusActive && !active || in.Status == statusInactive && active
		if strings.HasPrefix(name, in.FamilyPrefix) && !wrong {
			names = append(names, name)
		}
	}
	page, next := pageOf(names, after, limit)
	return &ListTaskDefinitionFamiliesOutput{Families: orEmpty(page), NextToken: token(list, next)}, nil
}

// DeleteTaskDefinitions deletes up to 10 revisions that are INACTIVE. They stay
// DELETE_IN_PROGRESS: what runs goes on running, and nothing can be made of them.
func (w *World) DeleteTaskDefinitions(in *DeleteTaskDefinitionsInput) (*DeleteTaskDefinitionsOutput, error) {
	const most = 10
	if len(in.TaskDefinitions) == 0 || len(in.TaskDefinitions) > most {
		return nil, invalid("taskDefinitions must have between 1 and %d items: %d", most, len(in.TaskDefinitions))
	}
	out := &DeleteTaskDefinitionsOutput{TaskDefinitions: []TaskDefinition{}, Failures: []Failure{}}
	for _, name := range in.TaskDefinitions {
		d, err := w.definition(name)
		switch {
		case err != nil || !strings.Contains(lastPart(name), ":"):
			out.Failures = append(out.Failures, Failure{Arn: w.arn("ecs", "task-definition/"+lastPart(name)), Reason: "MISSING", Detail: "The specified task definition does not exist. Specify a valid account, family, revision and try again."})
		case d.Status == statusActive:
			out.Failures = append(out.Failures, Failure{Arn: d.TaskDefinitionArn, Reason: "INVALID_STATUS", Detail: "The specified task definition is still in ACTIVE status. Please deregister the target and try again."})
		default:
			if d.Status != statusDeleting {
				d.Status, d.DeleteRequestedAt = statusDeleting, Timestamp{w.now}
			}
			out.TaskDefinitions = append(out.TaskDefinitions, d.TaskDefinition)
		}
	}
	return out, nil
}
