"""`make chart`: write the templates of the Helm chart that follow from deploy/k8s."""

from tools.helm.chart import HEADER, TEMPLATES, parts, templates

if __name__ == "__main__":
    texts = templates(parts())
    for path in TEMPLATES.iterdir():
        if path.name not in texts and path.read_text().startswith(HEADER):
            path.unlink()
    for name, text in texts.items():
        (TEMPLATES / name).write_text(text)
