"""Every route of the evaluator: the REST API first, then the pages."""

from services.evaluator.drafters_api import router as drafters
from services.evaluator.drift_api import router as drift
from services.evaluator.evaluation_sets_api import router as sets
from services.evaluator.evaluations_api import router as evaluations
from services.evaluator.feedback_api import router as feedback
from services.evaluator.golden_api import router as golden
from services.evaluator.knowledge_api import router as knowledge
from services.evaluator.models_api import router as models
from services.evaluator.trials_api import router as trials
from services.evaluator.web.drafter_details import router as details_page
from services.evaluator.web.drafter_list import router as list_page
from services.evaluator.web.evaluation import router as evaluation_page
from services.evaluator.web.evaluation_sets import router as sets_pages
from services.evaluator.web.golden import router as golden_pages
from services.evaluator.web.knowledge import router as knowledge_pages
from services.evaluator.web.knowledge_actions import router as knowledge_actions
from services.evaluator.web.trial import router as trial_page
from services.evaluator.web.workbench import router as workbench_page
from shared.web.render import assets_router

# Evaluations, trials and drift first: the path of a move is /{digest}/{move}.
API_ROUTERS = (knowledge, golden, evaluations, trials, drift, drafters, feedback, sets, models)
# Details last: a move is /drafters/{digest}/{move}.
PAGE_ROUTERS = (
    knowledge_pages,
    golden_pages,
    knowledge_actions,
    list_page,
    sets_pages,
    evaluation_page,
    workbench_page,
    trial_page,
    details_page,
    assets_router,
)
ROUTERS = (*API_ROUTERS, *PAGE_ROUTERS)
