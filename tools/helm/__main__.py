"""`python -m tools.helm`: write the templates of the chart that follow from deploy/k8s."""

from tools.helm.chart import TEMPLATES, templates

for name, text in templates().items():
    (TEMPLATES / name).write_text(text)
